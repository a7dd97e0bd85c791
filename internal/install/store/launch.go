package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

// Launch is a launch's folder as it was read.
type Launch struct {
	Folder    Folder
	Root      *bundle.Root
	Plan      *bundle.Plan
	RootBytes []byte
	planBytes []byte
	Signature []byte // launch.json.sig
	layout    []byte // index.json, nil when there is none
	index     string // digest of the bundle's index
}

// ParseLaunch reads a root and its plan, and that they are this launch's.
func ParseLaunch(f Folder, rootBytes, planBytes []byte) (*Launch, error) {
	root, err := bundle.ParseRoot(rootBytes)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "the launch cannot be read")
	}
	if root.SatelliteID != f.SatelliteID || root.LaunchID != f.LaunchID {
		return nil, fault.Errorf(fault.CodeIntegrity, "launch.json is of launch %s of satellite %s, and not of %s of %s",
			root.LaunchID, root.SatelliteID, f.LaunchID, f.SatelliteID)
	}
	if digest := bundle.Digest(planBytes); digest != root.Plan.Digest {
		return nil, fault.Errorf(fault.CodeIntegrity, "the plan is %s, and launch.json has %s", digest, root.Plan.Digest)
	}
	plan, err := bundle.ParsePlan(planBytes)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "the plan cannot be read")
	}
	if err := root.Vouches(plan); err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "the launch cannot be used")
	}
	return &Launch{Folder: f, Root: root, Plan: plan, RootBytes: rootBytes, planBytes: planBytes}, nil
}

// OpenLaunch reads a launch's folder. launch.json is held to its signature,
// and what it names is not looked at; whose the signature is, is not asked.
func OpenLaunch(f Folder) (*Launch, error) {
	if err := f.Exists(); err != nil {
		return nil, err
	}
	rootBytes, err := f.ReadFile("launch.json")
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "read the launch")
	}
	signature, err := readSignature(f, rootBytes)
	if err != nil {
		return nil, err
	}
	root, err := bundle.ParseRoot(rootBytes)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "%s cannot be read", f.Path("launch.json"))
	}
	planBytes, err := f.ReadFile(inBundle(root.Plan.Digest))
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "the plan is missing; get the launch again")
	}
	if got := bundle.Digest(planBytes); got != root.Plan.Digest {
		return nil, damagedFile(f.blob(root.Plan.Digest), got)
	}
	l, err := ParseLaunch(f, rootBytes, planBytes)
	if err != nil {
		return nil, err
	}
	l.Signature = signature
	if l.layout, err = f.ReadFile("bundle/index.json"); err == nil {
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
	data, err := f.ReadFile("launch.json.sig")
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "the signature is missing; get the launch again")
	}
	var signature bundle.Signature
	if err := json.Unmarshal(data, &signature); err != nil {
		return nil, fault.Errorf(fault.CodeIntegrity, "%s is damaged; get the launch again", path)
	}
	if err := signature.Verify(root, nil); err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "%s is not what its mothership signed: it or %s is damaged; get the launch again", f.Path("launch.json"), path)
	}
	return data, nil
}

// Complete returns an error that names what is missing or damaged, by names and sizes; only what the
// installer itself reads is hashed.
func (l *Launch) Complete() error {
	unfinished := fault.Errorf(fault.CodeIntegrity, "the download of %s is not complete; run get again", l.Folder.Path())
	whole := func(digest string) error {
		_, err := l.Document(digest)
		if err != nil && !fault.IsDamaged(err) {
			return unfinished
		}
		return err
	}
	switch {
	case l.layout == nil, len(l.missing()) > 0:
		return unfinished
	case l.index == "":
		return damagedFile(l.Folder.Path("bundle", "index.json"), bundle.Digest(l.layout))
	}
	for _, digest := range []string{l.Root.Plan.Digest, bundle.Digest(l.RootBytes), bundle.Digest([]byte("{}"))} {
		if err := whole(digest); err != nil {
			return err
		}
	}
	index, err := l.Document(l.index)
	switch {
	case fault.IsDamaged(err):
		return err
	case err != nil:
		return fault.Errorf(fault.CodeIntegrity, "%s names an index that is not there: it is damaged, or the download is not complete; run get again", l.Folder.Path("bundle", "index.json"))
	}
	if err := l.CheckIndex(index, l.Document); err != nil {
		return err
	}
	return l.checkLayout(index)
}

// checkLayout holds the files that make the bundle an OCI layout to what get
// writes.
func (l *Launch) checkLayout(index []byte) error {
	want, err := l.layoutOf(l.index, index)
	if err != nil {
		return err
	}
	if !bytes.Equal(l.layout, want) {
		return damagedFile(l.Folder.Path("bundle", "index.json"), bundle.Digest(l.layout))
	}
	marker := l.Folder.Path("bundle", "oci-layout")
	data, err := l.Folder.ReadFile("bundle/oci-layout")
	if err != nil {
		return fault.Wrap(err, fault.CodeIntegrity, "a file of the launch is missing; get it again")
	}
	if string(data) != layoutMarker {
		return damagedFile(marker, bundle.Digest(data))
	}
	return nil
}

// damagedFile is the error of a file with other bytes than it must have.
func damagedFile(path, got string) error {
	return fault.Damaged(fault.Errorf(fault.CodeIntegrity, "%s is damaged: its bytes are %s; get the launch again, which fetches what is damaged", path, got))
}

// Document reads a small blob and holds it to its name.
func (l *Launch) Document(digest string) ([]byte, error) {
	data, err := l.Folder.ReadFile(inBundle(digest))
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "a file of the launch is missing; get it again")
	}
	if got := bundle.Digest(data); got != digest {
		return nil, damagedFile(l.Folder.blob(digest), got)
	}
	return data, nil
}

// missing returns the blobs that are not there in their size.
func (l *Launch) missing() (blobs []bundle.Descriptor) {
	for _, blob := range l.Root.Blobs {
		if info, err := l.Folder.Stat(inBundle(blob.Digest)); err != nil || info.Size() != blob.Size {
			blobs = append(blobs, blob)
		}
	}
	return blobs
}

// BlobsToFetch returns the blobs to fetch, and their bytes: those that are not there,
// and those that are there and damaged, which it removes.
func (l *Launch) BlobsToFetch(ctx context.Context, report *progress.Reporter) (blobs []bundle.Descriptor, size int64, err error) {
	missing := l.missing()
	absent := map[string]bool{}
	for _, blob := range missing {
		absent[blob.Digest] = true
	}
	seen := readStamps(l.Folder)
	var unsure []bundle.Descriptor
	var doubtful int64
	for _, blob := range l.Root.Blobs {
		if info, err := l.Folder.Stat(inBundle(blob.Digest)); !absent[blob.Digest] && err == nil && !seen[blob.Digest].spares(info) {
			unsure = append(unsure, blob)
			doubtful += blob.Size
		}
	}
	t := report.Transfer("verify", len(unsure), doubtful, nil)
	defer t.End()
	for _, blob := range unsure {
		err := verifyFile(ctx, l.Folder.Tree(blobDir), inBundle(blob.Digest), blob.Digest, t)
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		if err != nil {
			report.Line("%s is damaged and is fetched again", l.Folder.blob(blob.Digest))
			if err := l.Folder.Remove(inBundle(blob.Digest)); err != nil {
				return nil, 0, fault.Wrap(err, fault.CodeFailed, "remove a damaged file")
			}
			missing = append(missing, blob)
		}
		t.Done()
	}
	if len(missing) == 0 && len(unsure) > 0 {
		return nil, 0, l.RememberVerified()
	}
	for _, blob := range missing {
		size += blob.Size
	}
	return missing, size, nil
}

// CheckIndex holds the bundle's index, which no signature covers, to the
// signed root: the same images in the same order, and a manifest that
// carries this root and this plan.
func (l *Launch) CheckIndex(index []byte, read func(digest string) ([]byte, error)) error {
	wrong := fault.Errorf(fault.CodeIntegrity, "the bundle's index does not match launch.json; run get again")
	manifest, err := v1.ParseIndexManifest(bytes.NewReader(index))
	if err != nil || len(manifest.Manifests) != len(l.Root.Images)+1 {
		return wrong
	}
	for i, image := range l.Root.Images {
		if d := manifest.Manifests[i]; d.Digest.String() != image.Digest || d.Size != image.Size {
			return wrong
		}
	}
	data, err := read(manifest.Manifests[len(l.Root.Images)].Digest.String())
	if err != nil {
		return err
	}
	carrier, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil || len(carrier.Layers) != 2 || carrier.Layers[0].Digest.String() != l.Root.Plan.Digest ||
		carrier.Layers[1].Digest.String() != bundle.Digest(l.RootBytes) {
		return wrong
	}
	return nil
}

// digests returns every blob of the launch's layout.
func (l *Launch) digests() map[string]bool {
	all := map[string]bool{l.index: true, l.Root.Plan.Digest: true, bundle.Digest(l.RootBytes): true, bundle.Digest([]byte("{}")): true}
	for _, blob := range l.Root.Blobs {
		all[blob.Digest] = true
	}
	if index, err := l.Folder.ReadFile(inBundle(l.index)); err == nil {
		if manifest, err := v1.ParseIndexManifest(bytes.NewReader(index)); err == nil {
			for _, d := range manifest.Manifests {
				all[d.Digest.String()] = true
			}
		}
	}
	return all
}

// ImageConfig reads the configuration of an image: an index gives its first
// platform's.
func (l *Launch) ImageConfig(digest string) (*v1.ConfigFile, error) {
	data, err := l.Document(digest)
	if err != nil {
		return nil, err
	}
	if index, err := v1.ParseIndexManifest(bytes.NewReader(data)); err == nil && len(index.Manifests) > 0 {
		first := slices.IndexFunc(index.Manifests, func(d v1.Descriptor) bool {
			return d.Platform != nil && d.Platform.OS == "linux"
		})
		return l.ImageConfig(index.Manifests[max(first, 0)].Digest.String())
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "read the manifest of image %s", digest)
	}
	if data, err = l.Document(manifest.Config.Digest.String()); err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(data))
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "read the configuration of image %s", digest)
	}
	return config, nil
}

// Begin writes what says which launch this is.
func (l *Launch) Begin() error {
	f := l.Folder
	err := errors.Join(f.WriteFile("launch.json", l.RootBytes), f.WriteFile("launch.json.sig", l.Signature),
		f.WriteFile(inBundle(l.Root.Plan.Digest), l.planBytes), f.WriteFile(inBundle(bundle.Digest(l.RootBytes)), l.RootBytes))
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "write the launch")
	}
	return nil
}

// Present returns the launch that is in the folder already and what it is known by,
// "" when it is not whole.
func Present(ctx context.Context, f Folder, report *progress.Reporter) (*Launch, string, error) {
	l, err := OpenLaunch(f)
	if err != nil || l.Complete() != nil {
		return nil, "", nil //nolint:nilerr // then all of it is asked for
	}
	var signature bundle.Signature
	if json.Unmarshal(l.Signature, &signature) != nil || signature.Verify(l.RootBytes, nil) != nil {
		return nil, "", nil
	}
	missing, _, err := l.BlobsToFetch(ctx, report)
	if err != nil || len(missing) > 0 {
		return nil, "", err
	}
	return l, bundle.PlanTag(l.RootBytes, signature), nil
}

// Covers reports whether the launch is that of root, signed with the same key or a
// later one: what its mothership has signed anew since is taken anew.
func (l *Launch) Covers(root, signature []byte) bool {
	var ours, theirs bundle.Signature
	if !bytes.Equal(l.RootBytes, root) || json.Unmarshal(l.Signature, &ours) != nil || json.Unmarshal(signature, &theirs) != nil {
		return false
	}
	return ours.Sequence() > theirs.Sequence() || ours.KeyID == theirs.KeyID
}
