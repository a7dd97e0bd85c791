package store

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// Archive is a launch outside of DEPLOY_ROOT: an export, in one piece or in
// parts, a launch's folder, or an OCI layout such as skopeo writes. It is read
// where it lies, never unpacked.
type Archive struct {
	Path   string
	files  map[string]section // by name inside the layout: index.json, blobs/sha256/…
	folder *Tree              // where the files are, nil for an export
	config *section           // config.yaml, nil when there is none
	parts  []*os.File         // of an export
	plan   *v1.Manifest       // of the artifact that carries plan and root
	Index  string             // digest of the bundle's index
}

// section is where a file's bytes are: in a file of its own, or in an export.
type section struct {
	name string // within the folder, "" in an export
	at   int64
	size int64
}

// OpenArchive opens an export or a folder.
func OpenArchive(ctx context.Context, from string) (*Archive, error) {
	c := &Archive{Path: from, files: map[string]section{}}
	info, err := os.Stat(from)
	switch {
	case err == nil && info.IsDir():
		err = c.readFolder()
	case err == nil, errors.Is(err, fs.ErrNotExist):
		err = c.readExport()
	default:
		err = fault.Wrap(err, fault.CodeFailed, "open %s", from)
	}
	if err == nil {
		err = c.readIndex()
	}
	if err != nil {
		err = c.Blame(ctx, err)
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close closes the files.
func (c *Archive) Close() {
	for _, part := range c.parts {
		_ = part.Close() // only read
	}
}

// readFolder finds the layout: in a launch's folder it is below bundle/.
func (c *Archive) readFolder() error {
	folder := NewTree(c.Path)
	c.folder = &folder
	layout := "."
	if _, err := c.folder.stat("bundle/index.json"); err == nil {
		layout = "bundle"
		if info, err := c.folder.stat("config.yaml"); err == nil && info.Mode().IsRegular() {
			c.config = &section{name: "config.yaml", size: info.Size()}
		}
	}
	err := c.folder.do(layout, func(root *os.Root) error {
		return fs.WalkDir(root.FS(), layout, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				c.files[strings.TrimPrefix(name, layout+"/")] = section{name: name, size: info.Size()}
			}
			return err
		})
	})
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "read %s", c.Path)
	}
	return nil
}

// readExport finds where in an export each file is, without reading them.
func (c *Archive) readExport() error {
	names, err := exportParts(c.Path)
	if err != nil {
		return err
	}
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return fault.Wrap(err, fault.CodeFailed, "open %s", name)
		}
		c.parts = append(c.parts, file)
	}
	whole, err := joined(c.parts)
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "read %s", c.Path)
	}
	reader := io.NewSectionReader(whole, 0, whole.size)
	archive := tar.NewReader(reader)
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		at, seekErr := reader.Seek(0, io.SeekCurrent)
		if err != nil || seekErr != nil {
			return fault.Damaged(fault.Errorf(fault.CodeIntegrity, "%s is no export of a launch, or not all of it is here: %v", c.where(section{at: at}), errors.Join(err, seekErr)))
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if at+header.Size > whole.size {
			return fault.Damaged(fault.Errorf(fault.CodeIntegrity, "%s ends in the middle of %s: not all of it is here", c.Path, header.Name))
		}
		s := section{at: at, size: header.Size}
		switch name, inLayout := strings.CutPrefix(path.Clean(header.Name), "bundle/"); {
		case inLayout:
			c.files[name] = s
		case name == "config.yaml":
			c.config = &s
		}
	}
}

// exportParts returns the files of an export: FILE, or FILE.001, FILE.002 and on.
func exportParts(file string) ([]string, error) {
	file = strings.TrimSuffix(file, ".001")
	if _, err := os.Stat(file); err == nil {
		return []string{file}, nil
	}
	parts, err := filepath.Glob(file + ".[0-9][0-9][0-9]")
	if err != nil || len(parts) == 0 {
		return nil, fault.Errorf(fault.CodeUsage, "there is no export, and no folder, %s", file)
	}
	slices.Sort(parts)
	for i, part := range parts {
		if want := exportPart(file, i+1); part != want {
			return nil, fault.Errorf(fault.CodeIntegrity, "the part %s of the export is missing", want)
		}
	}
	return parts, nil
}

func exportPart(file string, number int) string { return fmt.Sprintf("%s.%03d", file, number) }

// bytes opens one file of the archive.
func (c *Archive) bytes(s section) (ReaderAt, error) {
	if s.name != "" {
		file, err := c.folder.openFile(s.name, os.O_RDONLY)
		if err != nil {
			return nil, fault.Wrap(err, fault.CodeIntegrity, "read %s", c.Path)
		}
		return file, nil
	}
	whole, err := joined(c.parts)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "read %s", c.Path)
	}
	return sectionReader{io.NewSectionReader(whole, s.at, s.size)}, nil
}

type sectionReader struct{ *io.SectionReader }

// Close has nothing to close: the export stays open.
func (sectionReader) Close() error { return nil }

func (c *Archive) small(name string) ([]byte, error) {
	s, ok := c.files[name]
	if !ok {
		return nil, fault.Damaged(fault.Errorf(fault.CodeIntegrity, "%s holds no launch: %s is not in it", c.Path, name))
	}
	file, err := c.bytes(s)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	data, err := bundle.ReadManifest(io.NewSectionReader(file, 0, s.size))
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "read %s of %s", name, c.Path)
	}
	return data, nil
}

// Document returns a small blob, held to its digest.
func (c *Archive) Document(digest string) ([]byte, error) {
	data, err := c.small(blobName(digest))
	if err != nil {
		return nil, err
	}
	if got := bundle.Digest(data); got != digest {
		return nil, fault.Damaged(fault.Errorf(fault.CodeIntegrity, "%s of %s is damaged: its bytes are %s", blobName(digest), c.where(c.files[blobName(digest)]), got))
	}
	return data, nil
}

// Open returns a blob's bytes.
func (c *Archive) Open(digest string) (ReaderAt, error) {
	s, ok := c.files[blobName(digest)]
	if !ok {
		return nil, fault.Errorf(fault.CodeIntegrity, "%s is not in %s", blobName(digest), c.Path)
	}
	return c.bytes(s)
}

// Verify hashes a blob where it lies.
func (c *Archive) Verify(ctx context.Context, digest string) error {
	file, err := c.Open(digest)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	got, err := hashOf(ctx, io.NewSectionReader(file, 0, c.files[blobName(digest)].size), nil)
	if err == nil && got != digest {
		err = fault.Damaged(fault.Errorf(fault.CodeIntegrity, "%s of %s is damaged: its bytes are %s", blobName(digest), c.where(c.files[blobName(digest)]), got))
	}
	return err
}

// readIndex finds the bundle's index and the artifact that carries the plan.
func (c *Archive) readIndex() error {
	data, err := c.small("index.json")
	if err != nil {
		return fault.Damaged(fault.Errorf(fault.CodeIntegrity, "%s is neither an export, nor a launch's folder, nor an OCI layout: it has no index.json", c.Path))
	}
	var layout v1.IndexManifest
	if err := json.Unmarshal(data, &layout); err != nil {
		return fault.Damaged(fault.Wrap(err, fault.CodeIntegrity, "read index.json of %s", c.where(c.files["index.json"])))
	}
	for _, d := range layout.Manifests {
		index, err := c.Document(d.Digest.String())
		if err != nil {
			return err
		}
		manifest, err := v1.ParseIndexManifest(bytes.NewReader(index))
		if err != nil {
			continue
		}
		for _, child := range manifest.Manifests {
			if child.Annotations[bundle.AnnotationPlan] != "true" {
				continue
			}
			data, err := c.Document(child.Digest.String())
			if err != nil {
				return err
			}
			if c.plan, err = v1.ParseManifest(bytes.NewReader(data)); err != nil || len(c.plan.Layers) != 2 {
				return fault.Errorf(fault.CodeIntegrity, "%s: the plan's manifest cannot be read", c.Path)
			}
			c.Index = d.Digest.String()
			return nil
		}
	}
	return fault.Damaged(fault.Errorf(fault.CodeIntegrity, "%s holds no launch's bundle; copy it whole, such as with 'skopeo copy --all docker://MOTHERSHIP/satellites/SATELLITE_ID:LAUNCH_ID oci:FOLDER'", c.Path))
}

// Launch reads root, signature and plan; no blob is looked at.
func (c *Archive) Launch(root string) (*Launch, error) {
	signature := []byte(c.plan.Layers[1].Annotations[bundle.AnnotationSignature])
	rootBytes, err := c.Document(c.plan.Layers[1].Digest.String())
	if err != nil {
		return nil, err
	}
	parsed, err := bundle.ParseRoot(rootBytes)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "%s cannot be read", c.Path)
	}
	planBytes, err := c.Document(parsed.Plan.Digest)
	if err != nil {
		return nil, err
	}
	f := Folder{Root: root, SatelliteID: parsed.SatelliteID, LaunchID: parsed.LaunchID}
	l, err := ParseLaunch(f, rootBytes, planBytes)
	if err != nil {
		return nil, err
	}
	if err := l.Plan.CheckAlgorithms(); err != nil {
		return nil, fault.Wrap(err, fault.CodeIntegrity, "the plan has what its engines would refuse: change that in the satellite, then export it again")
	}
	l.Signature, l.index = signature, c.Index
	return l, nil
}

// Complete returns an error that names the blob of the launch which is not in it, by name and
// size.
func (c *Archive) Complete(l *Launch) error {
	for _, blob := range l.Root.Blobs {
		if s, ok := c.files[blobName(blob.Digest)]; !ok || s.size != blob.Size {
			e := fault.Errorf(fault.CodeIntegrity, "%s is not whole: %s is missing or cut short", c.Path, blobName(blob.Digest))
			if IsManifest(blob.MediaType) {
				e.Next = "→ a tool that rewrites manifests cannot carry a launch; skopeo says so with --preserve-digests, and 'algo-install … export' copies every byte"
			}
			return fault.Damaged(e)
		}
	}
	return nil
}

// HasConfiguration reports whether there is a configuration beside the launch.
func (c *Archive) HasConfiguration() bool { return c.config != nil }

// Configuration returns the configuration beside the launch, which no signature
// covers.
func (c *Archive) Configuration() ([]byte, error) {
	file, err := c.bytes(*c.config)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	data, err := bundle.ReadManifest(io.NewSectionReader(file, 0, c.config.size))
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "read config.yaml of %s", c.Path)
	}
	return data, nil
}
