package install

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// launch is a launch's folder as it was read.
type launch struct {
	folder    Folder
	root      *bundle.Root
	plan      *bundle.Plan
	rootBytes []byte
	planBytes []byte
	signature []byte // launch.json.sig
	index     string // digest of the bundle's index
}

// parseLaunch reads a root and its plan, and that they are this launch's.
func parseLaunch(f Folder, rootBytes, planBytes []byte) (*launch, error) {
	root, err := bundle.ParseRoot(rootBytes)
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "the launch cannot be read")
	}
	if root.SatelliteID != f.SatelliteID || root.LaunchID != f.LaunchID {
		return nil, errorf(CodeIntegrity, "launch.json is of launch %s of satellite %s, and not of %s of %s",
			root.LaunchID, root.SatelliteID, f.LaunchID, f.SatelliteID)
	}
	if digest := bundle.Digest(planBytes); digest != root.Plan.Digest {
		return nil, errorf(CodeIntegrity, "the plan is %s, and launch.json has %s", digest, root.Plan.Digest)
	}
	plan, err := bundle.ParsePlan(planBytes)
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "the plan cannot be read")
	}
	return &launch{folder: f, root: root, plan: plan, rootBytes: rootBytes, planBytes: planBytes}, nil
}

// openLaunch reads a launch's folder; signature and blobs are not checked.
func openLaunch(f Folder) (*launch, error) {
	if err := f.exists(); err != nil {
		return nil, err
	}
	rootBytes, err := os.ReadFile(f.Path("launch.json"))
	if err != nil {
		return nil, wrap(err, CodeFailed, "read the launch")
	}
	root, err := bundle.ParseRoot(rootBytes)
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "%s is damaged; get the launch again", f.Path("launch.json"))
	}
	planBytes, err := os.ReadFile(f.blob(root.Plan.Digest))
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "the plan is missing; get the launch again")
	}
	l, err := parseLaunch(f, rootBytes, planBytes)
	if err != nil {
		return nil, err
	}
	if l.signature, err = os.ReadFile(f.Path("launch.json.sig")); err != nil {
		return nil, wrap(err, CodeIntegrity, "the signature is missing; get the launch again")
	}
	var layout v1.IndexManifest
	if data, err := os.ReadFile(f.Path("bundle", "index.json")); err == nil && json.Unmarshal(data, &layout) == nil && len(layout.Manifests) == 1 {
		l.index = layout.Manifests[0].Digest.String()
	}
	return l, nil
}

// complete says what is missing, by names and sizes alone.
func (l *launch) complete() error {
	unfinished := errorf(CodeIntegrity, "the download of %s is not complete; run get again", l.folder.Path())
	if l.index == "" {
		return unfinished
	}
	if len(l.missing()) > 0 {
		return unfinished
	}
	for _, digest := range []string{l.root.Plan.Digest, bundle.Digest(l.rootBytes), bundle.Digest([]byte("{}"))} {
		if _, err := l.document(digest); err != nil {
			return unfinished
		}
	}
	index, err := l.document(l.index)
	if err != nil {
		return unfinished
	}
	return l.checkIndex(index, l.document)
}

// document reads a small blob and holds it to its name.
func (l *launch) document(digest string) ([]byte, error) {
	data, err := os.ReadFile(l.folder.blob(digest))
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "a file of the launch is missing; get it again")
	}
	if got := bundle.Digest(data); got != digest {
		return nil, damaged{errorf(CodeIntegrity, "%s is damaged: its bytes are %s; get the launch again, which fetches what is damaged", l.folder.blob(digest), got)}
	}
	return data, nil
}

// missing gives the blobs that are not there in their size.
func (l *launch) missing() (blobs []bundle.Descriptor) {
	for _, blob := range l.root.Blobs {
		if info, err := os.Stat(l.folder.blob(blob.Digest)); err != nil || info.Size() != blob.Size {
			blobs = append(blobs, blob)
		}
	}
	return blobs
}

// wanted gives the blobs to fetch, and their bytes: those that are not there,
// and those that are there and damaged, which it removes.
func (l *launch) wanted(ctx context.Context, progress *Progress) (blobs []bundle.Descriptor, size int64, err error) {
	missing := l.missing()
	absent := map[string]bool{}
	for _, blob := range missing {
		absent[blob.Digest] = true
	}
	seen := readStamps(l.folder)
	var unsure []bundle.Descriptor
	var doubtful int64
	for _, blob := range l.root.Blobs {
		if info, err := os.Stat(l.folder.blob(blob.Digest)); !absent[blob.Digest] && err == nil && seen[blob.Digest] != stampOf(info) {
			unsure = append(unsure, blob)
			doubtful += blob.Size
		}
	}
	t := progress.transfer("verify", len(unsure), doubtful, nil)
	defer t.end()
	for _, blob := range unsure {
		err := verifyFile(ctx, l.folder.blob(blob.Digest), blob.Digest, t)
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		if err != nil {
			progress.Line("%s is damaged and is fetched again", l.folder.blob(blob.Digest))
			if err := os.Remove(l.folder.blob(blob.Digest)); err != nil {
				return nil, 0, wrap(err, CodeFailed, "remove a damaged file")
			}
			missing = append(missing, blob)
		}
		t.done()
	}
	if len(missing) == 0 && len(unsure) > 0 {
		return nil, 0, rememberVerified(l.folder, l)
	}
	for _, blob := range missing {
		size += blob.Size
	}
	return missing, size, nil
}

// checkIndex holds the bundle's index, which no signature covers, to the
// signed root: the same images in the same order, and a manifest that
// carries this root and this plan.
func (l *launch) checkIndex(index []byte, read func(digest string) ([]byte, error)) error {
	wrong := errorf(CodeIntegrity, "the bundle's index does not match launch.json; run get again")
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(index))
	if err != nil || len(manifest.Manifests) != len(l.root.Images)+1 {
		return wrong
	}
	for i, image := range l.root.Images {
		if d := manifest.Manifests[i]; d.Digest.String() != image.Digest || d.Size != image.Size {
			return wrong
		}
	}
	data, err := read(manifest.Manifests[len(l.root.Images)].Digest.String())
	if err != nil {
		return err
	}
	carrier, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil || len(carrier.Layers) != 2 || carrier.Layers[0].Digest.String() != l.root.Plan.Digest ||
		carrier.Layers[1].Digest.String() != bundle.Digest(l.rootBytes) {
		return wrong
	}
	return nil
}

// digests gives every blob of the launch's layout.
func (l *launch) digests() map[string]bool {
	all := map[string]bool{l.index: true, l.root.Plan.Digest: true, bundle.Digest(l.rootBytes): true, bundle.Digest([]byte("{}")): true}
	for _, blob := range l.root.Blobs {
		all[blob.Digest] = true
	}
	if index, err := os.ReadFile(l.folder.blob(l.index)); err == nil {
		if manifest, err := v1.ParseIndexManifest(bytes.NewReader(index)); err == nil {
			for _, d := range manifest.Manifests {
				all[d.Digest.String()] = true
			}
		}
	}
	return all
}

func (l *launch) result(f Folder, unchanged bool) *GetResult {
	r := &GetResult{Path: f.Path(), SatelliteVersion: l.root.Version, Algorithms: len(l.plan.Algorithms), Blobs: len(l.root.Blobs), Unchanged: unchanged}
	for _, blob := range l.root.Blobs {
		r.Bytes += blob.Size
	}
	return r
}

// config reads the configuration of an image: an index gives its first
// platform's.
func (l *launch) config(digest string) (*v1.ConfigFile, error) {
	data, err := os.ReadFile(l.folder.blob(digest))
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "read the manifest of an image")
	}
	if index, err := v1.ParseIndexManifest(bytes.NewReader(data)); err == nil && len(index.Manifests) > 0 {
		first := slices.IndexFunc(index.Manifests, func(d v1.Descriptor) bool {
			return d.Platform != nil && d.Platform.OS == "linux"
		})
		return l.config(index.Manifests[max(first, 0)].Digest.String())
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "read the manifest of image %s", digest)
	}
	file, err := os.Open(l.folder.blob(manifest.Config.Digest.String()))
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "read the configuration of image %s", digest)
	}
	defer file.Close() //nolint:errcheck // read only
	config, err := v1.ParseConfigFile(file)
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "read the configuration of image %s", digest)
	}
	return config, nil
}
