package registry_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/file"
	orasremote "oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// orasPush pushes files and folders of dir as "oras push" does.
func (w *world) orasPush(ref, dir string, names ...string) (ocispec.Descriptor, error) {
	w.t.Helper()
	store, err := file.New(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	var layers []ocispec.Descriptor
	for _, name := range names {
		layer, err := store.Add(w.t.Context(), name, "", filepath.Join(dir, name))
		if err != nil {
			w.t.Fatal(err)
		}
		layers = append(layers, layer)
	}
	root, err := oras.PackManifest(w.t.Context(), store, oras.PackManifestVersion1_1, "application/vnd.unknown.artifact.v1", oras.PackManifestOptions{Layers: layers})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := store.Tag(w.t.Context(), root, "x"); err != nil {
		w.t.Fatal(err)
	}
	repository, tag, _ := strings.Cut(ref, ":")
	target, err := orasremote.NewRepository(w.host + "/" + repository)
	if err != nil {
		w.t.Fatal(err)
	}
	target.PlainHTTP = true
	target.Client = &auth.Client{Credential: auth.StaticCredential(w.host, auth.Credential{Username: "admin", Password: w.admin})}
	return oras.Copy(w.t.Context(), store, "x", target, tag, oras.DefaultCopyOptions)
}

// TestPushWeights pushes weights as oras makes them and as an image has them, and
// carries both in a bundle.
func TestPushWeights(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tokenizer"), 0o750); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"model.safetensors": strings.Repeat("w", 1000), "tokenizer/vocab.txt": "a b c", "tokenizer/merges.txt": "a b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files := "neo/bert:" + hash(1)
	root, err := w.orasPush(files, dir, "model.safetensors", "tokenizer")
	if err != nil {
		t.Fatal(err)
	}
	asImage := "neo/gpt:" + hash(2)
	img := weightsImage(t, map[string]string{"constellation.kind": "weights"}, entry{name: "a/b.bin", content: "12345"}, entry{name: "a/c", link: "b.bin"})
	w.mustPush(asImage, img)
	annotated := "neo/gpt:" + hash(3)
	w.mustPush(annotated, mutate.Annotations(weightsImage(t, nil, entry{name: "x", content: "1"}), map[string]string{"constellation.kind": "weights"}).(v1.Image))
	for ref, want := range map[string]constellation.Weights{
		files:     {Form: "files", UnpackedSize: 1000 + 5 + 3, Files: 4},
		asImage:   {Form: "image", UnpackedSize: 5, Files: 2},
		annotated: {Form: "image", UnpackedSize: 1, Files: 1},
	} {
		got, err := w.version(ref)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got.Weights); diff != "" || got.Kind() != constellation.WeightsVersion {
			t.Errorf("%s is of kind %s; weights (-want +got):\n%s", ref, got.Kind(), diff)
		}
	}
	if got, err := w.version(files); err != nil || got.Image.Digest != root.Digest.String() {
		t.Errorf("the version is %+v, %v, want the digest that was pushed, %s", got, err, root.Digest)
	}
	code := "neo/hello:" + hash(4)
	w.mustPush(code, image(t, 100, nil))
	bundled := w.bundleWith(code, files, asImage)
	if diff := cmp.Diff([]string{root.Digest.String(), digestOf(t, img)}, bundled); diff != "" {
		t.Errorf("weights in the bundle (-want +got):\n%s", diff)
	}
}

// bundleWith makes a satellite of three algorithms that all read weights, pulls
// its bundle's manifests, and returns the digests of those beside the images.
func (w *world) bundleWith(code string, weights ...string) []string {
	w.t.Helper()
	reference := func(ref string) string { return strings.Replace(ref, ":", "/", 1) }
	n := control.NewSatellite{Name: "weights"}
	for _, url := range []string{"a/b", "a/c", "a/d"} {
		spec := control.AlgorithmSpec{Algorithm: reference(code), VanityURL: url, Replicas: 1}
		for i, ref := range weights {
			spec.Weights = append(spec.Weights, control.WeightsSpec{Artifact: reference(ref), Path: "/models/" + string(rune('a'+i))})
		}
		n.Algorithms = append(n.Algorithms, spec)
	}
	satellite, err := w.control.CreateSatellite(w.t.Context(), w.adminPrincipal(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	launch, err := w.control.CreateLaunch(w.t.Context(), w.adminPrincipal(), satellite.ID, control.NewLaunch{Name: "launch"})
	if err != nil {
		w.t.Fatal(err)
	}
	index, err := remote.Index(w.reference("satellites/"+satellite.ID+":"+launch.ID), as("admin", w.admin))
	if err != nil {
		w.t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		w.t.Fatal(err)
	}
	var found []string
	for _, m := range manifest.Manifests {
		if m.Annotations["constellation.weights"] == "" {
			continue
		}
		found = append(found, m.Digest.String())
		pulled, err := index.Image(m.Digest)
		if err != nil {
			w.t.Fatal(err)
		}
		layers, err := pulled.Layers()
		if err != nil {
			w.t.Fatal(err)
		}
		for _, l := range layers {
			content, err := l.Compressed()
			if err != nil {
				w.t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, content); err != nil {
				w.t.Errorf("a layer of the weights is not whole: %v", err)
			}
			_ = content.Close()
		}
	}
	return found
}

// entry is one of an archive: a file, or with link a symbolic link, or of a type.
type entry struct {
	name, content, link string
	kind                byte
}

// weightsImage makes an image of one archive of entries.
func weightsImage(t *testing.T, labels map[string]string, entries ...entry) v1.Image {
	t.Helper()
	var b bytes.Buffer
	archive := tar.NewWriter(&b)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Size: int64(len(e.content)), Mode: 0o644, Typeflag: tar.TypeReg}
		switch {
		case e.link != "" && e.kind == 0:
			header.Typeflag, header.Linkname = tar.TypeSymlink, e.link
		case e.kind != 0:
			header.Typeflag, header.Linkname = e.kind, e.link
		}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return imageOf(t, labels, b.Bytes())
}

// imageOf makes an image of one layer, gzipped.
func imageOf(t *testing.T, labels map[string]string, archive []byte) v1.Image {
	t.Helper()
	layer, err := partial.CompressedToLayer(compressedLayer(archive))
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config.Labels = "linux", "amd64", labels
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// compressedLayer is an archive as a gzipped layer.
type compressedLayer []byte

func (c compressedLayer) gzipped() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(c) // into memory
	_ = z.Close()
	return b.Bytes()
}

func (c compressedLayer) Digest() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(c.gzipped()))
	return h, err
}
func (c compressedLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(c.gzipped())), nil
}
func (c compressedLayer) Size() (int64, error)                { return int64(len(c.gzipped())), nil }
func (c compressedLayer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// TestPushWeightsRefuses pushes weights with what would do harm where they are
// unpacked.
func TestPushWeightsRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	label := map[string]string{"constellation.kind": "weights"}
	bomb := make([]byte, 512)
	var b bytes.Buffer
	archive := tar.NewWriter(&b)
	if err := archive.WriteHeader(&tar.Header{Name: "zeros", Size: 80 << 20, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	for range (80 << 20) / len(bomb) {
		if _, err := archive.Write(bomb); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		img  v1.Image
		text string
	}{
		"a way up":          {weightsImage(t, label, entry{name: "../x", content: "1"}), "leads elsewhere"},
		"an absolute path":  {weightsImage(t, label, entry{name: "/etc/x", content: "1"}), "leads elsewhere"},
		"a link out":        {weightsImage(t, label, entry{name: "a/x", link: "../../etc"}), "leads out"},
		"an absolute link":  {weightsImage(t, label, entry{name: "x", link: "/etc"}), "no path below"},
		"below a link":      {weightsImage(t, label, entry{name: "a", link: "b"}, entry{name: "a/x", content: "1"}), "lies below"},
		"a turning link":    {weightsImage(t, label, entry{name: "d/e/x", link: ".."}, entry{name: "y", link: "d/e/x/../.."}), "leads out"},
		"a hard link":       {weightsImage(t, label, entry{name: "x", link: "y", kind: tar.TypeLink}), "hard link"},
		"a device":          {weightsImage(t, label, entry{name: "x", kind: tar.TypeChar}), "device"},
		"a pipe":            {weightsImage(t, label, entry{name: "x", kind: tar.TypeFifo}), "no file"},
		"a removal":         {weightsImage(t, label, entry{name: ".wh.x", content: ""}), "removes a file"},
		"a bomb":            {imageOf(t, label, b.Bytes()), "100 times its size"},
		"no archive at all": {imageOf(t, label, []byte(strings.Repeat("no tar ", 200))), "read the archive"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ref := "neo/bad:" + hash(len(name))
			wantRefused(t, w.push(ref, tt.img), http.StatusBadRequest, tt.text)
			w.mustNotExist(ref)
		})
	}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: weightsImage(t, label, entry{name: "x", content: "1"}), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	wantRefused(t, w.push("neo/bad:"+hash(100), index), http.StatusBadRequest, "--provenance=false")
}

// TestWeightsAreNoAlgorithm holds weights away from vanity URLs, and algorithms
// away from where weights belong.
func TestWeightsAreNoAlgorithm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	label := map[string]string{"constellation.kind": "weights"}
	w.mustPush("neo/bert:"+hash(1), weightsImage(t, label, entry{name: "x", content: "1"}))
	w.mustPush("neo/hello:"+hash(2), image(t, 100, nil))
	weights, code := "neo/bert/"+hash(1), "neo/hello/"+hash(2)
	for _, tt := range []struct {
		spec control.AlgorithmSpec
		text string
	}{
		{control.AlgorithmSpec{Algorithm: weights, VanityURL: "a/b"}, "no vanity URL calls it"},
		{control.AlgorithmSpec{Algorithm: code, VanityURL: "a/b", Weights: []control.WeightsSpec{{Artifact: code, Path: "/m"}}}, "is an algorithm and no weights"},
		{control.AlgorithmSpec{Algorithm: code, VanityURL: "a/b", Weights: []control.WeightsSpec{{Artifact: "neo/bert/" + hash(9), Path: "/m"}}}, "has no version " + hash(9)},
		{control.AlgorithmSpec{Algorithm: code, VanityURL: "a/b", Weights: []control.WeightsSpec{{Artifact: weights, Path: "/m/../etc"}}}, "mount path"},
		{control.AlgorithmSpec{Algorithm: code, VanityURL: "a/b", Weights: []control.WeightsSpec{{Artifact: weights, Path: "/m"}, {Artifact: weights, Path: "/m/n"}}}, "/m/n"},
	} {
		_, err := w.control.CreateSatellite(t.Context(), w.adminPrincipal(), control.NewSatellite{Name: "x", Algorithms: []control.AlgorithmSpec{tt.spec}})
		if err == nil || !strings.Contains(fieldsOf(err), tt.text) {
			t.Errorf("a satellite of %+v = %v, want an error that says %q", tt.spec, err, tt.text)
		}
	}
}

// fieldsOf returns all that an error says of its fields.
func fieldsOf(err error) string {
	var e *constellation.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	var text []string
	for _, f := range e.Fields {
		text = append(text, f.Message)
	}
	return strings.Join(text, "\n")
}
