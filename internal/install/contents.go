package install

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
)

// contents is a launch outside of DEPLOY_ROOT: an export, in one piece or in
// parts, a launch's folder, or an OCI layout such as skopeo writes. It is read
// where it lies, never unpacked.
type contents struct {
	path   string
	files  map[string]section // by name inside the layout: index.json, blobs/sha256/…
	config *section           // config.yaml, nil when there is none
	parts  []*os.File         // of an export
	plan   *v1.Manifest       // of the artifact that carries plan and root
	index  string             // digest of the bundle's index
}

// section is where a file's bytes are: in a file of its own, or in an export.
type section struct {
	path string
	at   int64
	size int64
}

// openContents opens an export or a folder.
func openContents(from string) (*contents, error) {
	c := &contents{path: from, files: map[string]section{}}
	info, err := os.Stat(from)
	switch {
	case err == nil && info.IsDir():
		err = c.readFolder()
	case err == nil, errors.Is(err, fs.ErrNotExist):
		err = c.readExport()
	default:
		err = wrap(err, CodeFailed, "open %s", from)
	}
	if err == nil {
		err = c.readIndex()
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *contents) close() {
	for _, part := range c.parts {
		_ = part.Close() // only read
	}
}

// readFolder finds the layout: in a launch's folder it is below bundle/.
func (c *contents) readFolder() error {
	layout := c.path
	if _, err := os.Stat(filepath.Join(layout, "bundle", "index.json")); err == nil {
		layout = filepath.Join(layout, "bundle")
		if info, err := os.Stat(filepath.Join(c.path, "config.yaml")); err == nil {
			c.config = &section{path: filepath.Join(c.path, "config.yaml"), size: info.Size()}
		}
	}
	return filepath.WalkDir(layout, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return wrap(err, CodeFailed, "read %s", c.path)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return wrap(err, CodeFailed, "read %s", c.path)
		}
		if name, err := filepath.Rel(layout, file); err == nil {
			c.files[filepath.ToSlash(name)] = section{path: file, size: info.Size()}
		}
		return nil
	})
}

// readExport finds where in an export each file is, without reading them.
func (c *contents) readExport() error {
	names, err := exportParts(c.path)
	if err != nil {
		return err
	}
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return wrap(err, CodeFailed, "open %s", name)
		}
		c.parts = append(c.parts, file)
	}
	whole, err := joined(c.parts)
	if err != nil {
		return wrap(err, CodeFailed, "read %s", c.path)
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
			return errorf(CodeIntegrity, "%s is no export of a launch, or not all of it is here: %v", c.path, errors.Join(err, seekErr))
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if at+header.Size > whole.size {
			return errorf(CodeIntegrity, "%s ends in the middle of %s: not all of it is here", c.path, header.Name)
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

// exportParts gives the files of an export: FILE, or FILE.001, FILE.002 and on.
func exportParts(file string) ([]string, error) {
	file = strings.TrimSuffix(file, ".001")
	if _, err := os.Stat(file); err == nil {
		return []string{file}, nil
	}
	parts, err := filepath.Glob(file + ".[0-9][0-9][0-9]")
	if err != nil || len(parts) == 0 {
		return nil, errorf(CodeUsage, "there is no export, and no folder, %s", file)
	}
	slices.Sort(parts)
	for i, part := range parts {
		if want := partName(file, i+1); part != want {
			return nil, errorf(CodeIntegrity, "the part %s of the export is missing", want)
		}
	}
	return parts, nil
}

func partName(file string, number int) string { return fmt.Sprintf("%s.%03d", file, number) }

// bytes opens one file of the contents.
func (c *contents) bytes(s section) (readerAt, error) {
	if s.path != "" {
		file, err := os.Open(s.path)
		if err != nil {
			return nil, wrap(err, CodeIntegrity, "read %s", c.path)
		}
		return file, nil
	}
	whole, err := joined(c.parts)
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "read %s", c.path)
	}
	return sectionReader{io.NewSectionReader(whole, s.at, s.size)}, nil
}

type sectionReader struct{ *io.SectionReader }

// Close has nothing to close: the export stays open.
func (sectionReader) Close() error { return nil }

func (c *contents) small(name string) ([]byte, error) {
	s, ok := c.files[name]
	if !ok {
		return nil, errorf(CodeIntegrity, "%s holds no launch: %s is not in it", c.path, name)
	}
	file, err := c.bytes(s)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	data, err := readLimited(io.NewSectionReader(file, 0, s.size))
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "read %s of %s", name, c.path)
	}
	return data, nil
}

func blobName(digest string) string { return "blobs/sha256/" + hexOf(digest) }

// document gives a small blob, held to its digest.
func (c *contents) document(digest string) ([]byte, error) {
	data, err := c.small(blobName(digest))
	if err != nil {
		return nil, err
	}
	if got := bundle.Digest(data); got != digest {
		return nil, damaged{errorf(CodeIntegrity, "%s of %s is damaged: its bytes are %s", blobName(digest), c.path, got)}
	}
	return data, nil
}

// open gives a blob's bytes.
func (c *contents) open(digest string) (readerAt, error) {
	s, ok := c.files[blobName(digest)]
	if !ok {
		return nil, errorf(CodeIntegrity, "%s is not in %s", blobName(digest), c.path)
	}
	return c.bytes(s)
}

// verify hashes a blob where it lies.
func (c *contents) verify(ctx context.Context, digest string) error {
	file, err := c.open(digest)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	got, err := hashOf(ctx, io.NewSectionReader(file, 0, c.files[blobName(digest)].size), nil)
	if err == nil && got != digest {
		err = damaged{errorf(CodeIntegrity, "%s of %s is damaged: its bytes are %s", blobName(digest), c.path, got)}
	}
	return err
}

// readIndex finds the bundle's index and the artifact that carries the plan.
func (c *contents) readIndex() error {
	data, err := c.small("index.json")
	if err != nil {
		return errorf(CodeIntegrity, "%s is neither an export, nor a launch's folder, nor an OCI layout: it has no index.json", c.path)
	}
	var layout v1.IndexManifest
	if err := json.Unmarshal(data, &layout); err != nil {
		return wrap(err, CodeIntegrity, "read index.json of %s", c.path)
	}
	for _, d := range layout.Manifests {
		index, err := c.document(d.Digest.String())
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
			data, err := c.document(child.Digest.String())
			if err != nil {
				return err
			}
			if c.plan, err = v1.ParseManifest(bytes.NewReader(data)); err != nil || len(c.plan.Layers) != 2 {
				return errorf(CodeIntegrity, "%s: the plan's manifest cannot be read", c.path)
			}
			c.index = d.Digest.String()
			return nil
		}
	}
	return errorf(CodeIntegrity, "%s holds no launch's bundle; copy it whole, such as with 'skopeo copy --all docker://MOTHERSHIP/satellites/SATELLITE_ID:LAUNCH_ID oci:FOLDER'", c.path)
}

// launch reads root, signature and plan; no blob is looked at.
func (c *contents) launch(root string) (*launch, error) {
	signature := []byte(c.plan.Layers[1].Annotations[bundle.AnnotationSignature])
	rootBytes, err := c.document(c.plan.Layers[1].Digest.String())
	if err != nil {
		return nil, err
	}
	parsed, err := bundle.ParseRoot(rootBytes)
	if err != nil {
		return nil, wrap(err, CodeIntegrity, "%s cannot be read", c.path)
	}
	planBytes, err := c.document(parsed.Plan.Digest)
	if err != nil {
		return nil, err
	}
	f := Folder{Root: root, SatelliteID: parsed.SatelliteID, LaunchID: parsed.LaunchID}
	l, err := parseLaunch(f, rootBytes, planBytes)
	if err != nil {
		return nil, err
	}
	l.signature, l.index = signature, c.index
	return l, nil
}

// complete says which blob of the launch is not in the contents, by name and
// size.
func (c *contents) complete(l *launch) error {
	for _, blob := range l.root.Blobs {
		if s, ok := c.files[blobName(blob.Digest)]; !ok || s.size != blob.Size {
			e := errorf(CodeIntegrity, "%s is not whole: %s is missing or cut short", c.path, blobName(blob.Digest))
			if isManifest(blob.MediaType) {
				e.Next = "→ a tool that rewrites manifests cannot carry a launch; skopeo says so with --preserve-digests, and 'algo-install … export' copies every byte"
			}
			return e
		}
	}
	return nil
}

// adopt takes the configuration over where there is none.
func (c *contents) adopt(f Folder) error {
	if c.config == nil {
		return nil
	}
	if _, err := os.Stat(f.Path("config.yaml")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := c.bytes(*c.config)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	data, err := readLimited(io.NewSectionReader(file, 0, c.config.size))
	if err != nil {
		return wrap(err, CodeFailed, "read config.yaml of %s", c.path)
	}
	return writeFile(f.Path("config.yaml"), data)
}
