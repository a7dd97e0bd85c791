package install

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	layout    []byte // index.json, nil when there is none
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

// openLaunch reads a launch's folder. launch.json is held to its signature,
// and what it names is not looked at; whose the signature is, is not asked.
func openLaunch(f Folder) (*launch, error) {
	if err := f.exists(); err != nil {
		return nil, err
	}
	rootBytes, err := os.ReadFile(f.Path("launch.json"))
	if err != nil {
		return nil, wrap(err, CodeFailed, "read the launch")
	}
	signature, err := readSignature(f, rootBytes)
	if err != nil {
		return nil, err
	}
	root, err := bundle.ParseRoot(rootBytes)
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "%s cannot be read", f.Path("launch.json"))
	}
	planBytes, err := os.ReadFile(f.blob(root.Plan.Digest))
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "the plan is missing; get the launch again")
	}
	if got := bundle.Digest(planBytes); got != root.Plan.Digest {
		return nil, damagedFile(f.blob(root.Plan.Digest), got)
	}
	l, err := parseLaunch(f, rootBytes, planBytes)
	if err != nil {
		return nil, err
	}
	l.signature = signature
	if l.layout, err = os.ReadFile(f.Path("bundle", "index.json")); err == nil {
		var layout v1.IndexManifest
		if json.Unmarshal(l.layout, &layout) == nil && len(layout.Manifests) == 1 {
			l.index = layout.Manifests[0].Digest.String()
		}
	}
	return l, nil
}

// readSignature reads launch.json.sig and holds launch.json to it.
func readSignature(f Folder, root []byte) ([]byte, error) {
	path := f.Path("launch.json.sig")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "the signature is missing; get the launch again")
	}
	var signature bundle.Signature
	if err := json.Unmarshal(data, &signature); err != nil {
		return nil, errorf(CodeIntegrity, "%s is damaged; get the launch again", path)
	}
	if err := signature.Verify(root, nil); err != nil {
		return nil, wrap(err, CodeIntegrity, "%s is not what its mothership signed: it or %s is damaged; get the launch again", f.Path("launch.json"), path)
	}
	return data, nil
}

// complete says what is missing or damaged, by names and sizes; only what the
// installer itself reads is hashed.
func (l *launch) complete() error {
	unfinished := errorf(CodeIntegrity, "the download of %s is not complete; run get again", l.folder.Path())
	whole := func(digest string) error {
		_, err := l.document(digest)
		if err != nil && !errors.As(err, new(damaged)) {
			return unfinished
		}
		return err
	}
	switch {
	case l.layout == nil, len(l.missing()) > 0:
		return unfinished
	case l.index == "":
		return damagedFile(l.folder.Path("bundle", "index.json"), bundle.Digest(l.layout))
	}
	for _, digest := range []string{l.root.Plan.Digest, bundle.Digest(l.rootBytes), bundle.Digest([]byte("{}"))} {
		if err := whole(digest); err != nil {
			return err
		}
	}
	index, err := l.document(l.index)
	switch {
	case errors.As(err, new(damaged)):
		return err
	case err != nil:
		return errorf(CodeIntegrity, "%s names an index that is not there: it is damaged, or the download is not complete; run get again", l.folder.Path("bundle", "index.json"))
	}
	if err := l.checkIndex(index, l.document); err != nil {
		return err
	}
	return l.checkLayout(index)
}

// checkLayout holds the files that make the bundle an OCI layout to what get
// writes.
func (l *launch) checkLayout(index []byte) error {
	want, err := l.layoutOf(l.index, index)
	if err != nil {
		return err
	}
	if !bytes.Equal(l.layout, want) {
		return damagedFile(l.folder.Path("bundle", "index.json"), bundle.Digest(l.layout))
	}
	marker := l.folder.Path("bundle", "oci-layout")
	data, err := os.ReadFile(marker)
	if err != nil {
		return wrap(err, CodeIntegrity, "a file of the launch is missing; get it again")
	}
	if string(data) != layoutMarker {
		return damagedFile(marker, bundle.Digest(data))
	}
	return nil
}

// damagedFile is the error of a file with other bytes than it must have.
func damagedFile(path, got string) error {
	return damaged{errorf(CodeIntegrity, "%s is damaged: its bytes are %s; get the launch again, which fetches what is damaged", path, got)}
}

// document reads a small blob and holds it to its name.
func (l *launch) document(digest string) ([]byte, error) {
	data, err := os.ReadFile(l.folder.blob(digest))
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "a file of the launch is missing; get it again")
	}
	if got := bundle.Digest(data); got != digest {
		return nil, damagedFile(l.folder.blob(digest), got)
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
