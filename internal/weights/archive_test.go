package weights_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/weights"
)

func archive(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	a := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := a.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestArchive(t *testing.T) {
	t.Parallel()
	plain := archive(t, tar.Header{Name: "./", Typeflag: tar.TypeDir}, tar.Header{Name: "./a/", Typeflag: tar.TypeDir},
		tar.Header{Name: "./a/b", Size: 3, Mode: 0o755}, tar.Header{Name: "a/c", Typeflag: tar.TypeSymlink, Linkname: "../a/b"})
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []weights.Entry{{Path: "a", Folder: true}, {Path: "a/b", Size: 3, Executable: true}, {Path: "a/c", Link: "../a/b"}}
	for name, content := range map[string]io.Reader{
		"seekable": bytes.NewReader(plain), "a stream": io.MultiReader(bytes.NewReader(plain)), "zstd": bytes.NewReader(encoder.EncodeAll(plain, nil)),
	} {
		var got []weights.Entry
		budget := weights.Budget{Files: 3, Bytes: 3}
		err := weights.Archive(content, &budget, func(e weights.Entry, _ io.Reader) error { got = append(got, e); return nil })
		if diff := cmp.Diff(want, got); diff != "" || err != nil || budget != (weights.Budget{}) {
			t.Errorf("%s: %v, budget %+v; entries (-want +got):\n%s", name, err, budget, diff)
		}
	}
	for _, tt := range []struct {
		budget weights.Budget
		want   error
	}{{weights.Budget{Files: 2, Bytes: 3}, weights.ErrTooManyFiles}, {weights.Budget{Files: 3, Bytes: 2}, weights.ErrTooManyBytes}} {
		err := weights.Archive(bytes.NewReader(plain), &tt.budget, func(weights.Entry, io.Reader) error { return nil })
		if !errors.Is(err, tt.want) {
			t.Errorf("Archive with %+v left = %v, want %v", tt.budget, err, tt.want)
		}
	}
}

// FuzzArchive has nothing leave the folder, whatever the archive says.
func FuzzArchive(f *testing.F) {
	for _, name := range []string{"a/b", "../x", "/x", "a/../../x", "a\\..\\x", "./././x", "a//b", ".wh.a", strings.Repeat("a/", 100) + "b"} {
		f.Add(name, "../b")
	}
	f.Fuzz(func(t *testing.T, name, link string) {
		var b bytes.Buffer
		a := tar.NewWriter(&b)
		if a.WriteHeader(&tar.Header{Name: name, Linkname: link, Typeflag: tar.TypeSymlink}) != nil || a.Close() != nil {
			t.Skip("no header")
		}
		_ = weights.Archive(&b, &weights.Budget{Files: 1, Bytes: 1}, func(e weights.Entry, _ io.Reader) error { // what it refuses is fine
			depth := strings.Count(e.Path, "/")
			for s := range strings.SplitSeq(e.Path, "/") {
				if s == ".." || s == "." || s == "" {
					t.Errorf("the entry %q is read as %q", name, e.Path)
				}
			}
			if strings.HasPrefix(e.Link, "/") || strings.HasPrefix(e.Link, strings.Repeat("../", depth+1)) {
				t.Errorf("the link of %q leads to %q", e.Path, e.Link)
			}
			return nil
		})
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	const image, empty = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.empty.v1+json"
	layer := func(mediaType, annotations string) string {
		return `{"mediaType":"` + mediaType + `","digest":"sha256:x","size":5,"annotations":{` + annotations + `}}`
	}
	manifest := func(config string, layers ...string) []byte {
		return []byte(`{"config":{"mediaType":"` + config + `"},"layers":[` + strings.Join(layers, ",") + `]}`)
	}
	const tarType, title = "application/vnd.oci.image.layer.v1.tar", `"org.opencontainers.image.title":`
	tests := map[string]struct {
		manifest []byte
		form     constellation.WeightsForm
		path     string
		err      string
	}{
		"an image":            {manifest(image, layer(tarType+"+gzip", "")), constellation.WeightsImage, "", ""},
		"a file of oras":      {manifest(empty, layer(tarType, title+`"model.bin"`)), constellation.WeightsFiles, "model.bin", ""},
		"a folder of oras":    {manifest(empty, layer(tarType+"+gzip", title+`"model","io.deis.oras.content.unpack":"true"`)), constellation.WeightsFiles, "", ""},
		"an image of files":   {manifest(image, layer(tarType, title+`"model.bin"`)), constellation.WeightsFiles, "model.bin", ""},
		"a path of the CNCF":  {manifest("application/vnd.cncf.model.config.v1+json", layer("application/vnd.cncf.model.weight.v1.raw", `"org.cncf.model.filepath":"a/b.bin"`)), constellation.WeightsFiles, "a/b.bin", ""},
		"a title that climbs": {manifest(empty, layer("x", title+`"../model.bin"`)), "", "", "leads elsewhere"},
		"no title":            {manifest(empty, layer("application/octet-stream", "")), "", "", "no title"},
		"twice":               {manifest(empty, layer("x", title+`"a"`), layer("x", title+`"a"`)), "", "", "two layers"},
		"nothing":             {manifest(empty), "", "", "1 to"},
		"no manifest":         {[]byte("[]"), "", "", "not one of"},
	}
	for name, tt := range tests {
		a, err := weights.Parse(tt.manifest)
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v, want an error that says %q", name, err, tt.err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case a.Form != tt.form || a.Layers[0].Path != tt.path || a.Layers[0].Size != 5:
			t.Errorf("%s: %+v, want %s and %q", name, a, tt.form, tt.path)
		}
	}
}
