package registry

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
)

func openTestStorage(t testing.TB, dir string) *Storage {
	t.Helper()
	s, err := OpenStorage(t.Context(), FilesystemStorage(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close storage: %v", err)
		}
	})
	return s
}

func TestStorageCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTestStorage(t, dir)
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("Check on a new folder: %v", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("Check finds nothing wrong where a file is in the folder's place")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
}

func TestOpenStorageRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStorage(t.Context(), FilesystemStorage(filepath.Join(file, "registry")), nil); err == nil {
		t.Error("OpenStorage under a file gives no error")
	}
}

func TestStorageContent(t *testing.T) {
	t.Parallel()
	s := openTestStorage(t, t.TempDir())
	ctx := t.Context()
	config, err := s.putBlob(ctx, "neo/hello", v1.MediaTypeImageConfig, []byte(`{"os":"linux","architecture":"amd64"}`))
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"schemaVersion":2,  "mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"` + config.MediaType +
		`","digest":"` + config.Digest.String() + `","size":37},"layers":[]}`)
	descriptor, err := s.putManifest(ctx, "neo/hello", v1.MediaTypeImageManifest, body)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Manifest(ctx, "neo/hello", descriptor.Digest.String())
	if err != nil || string(got) != string(body) {
		t.Errorf("Manifest = %q, %v, want the bytes as stored", got, err)
	}
	for _, repository := range []string{"neo/other", "other/hello"} {
		if _, err := s.Manifest(ctx, repository, descriptor.Digest.String()); constellation.KindOf(err) != constellation.KindNotFound {
			t.Errorf("Manifest of %s gives %v, want not found", repository, err)
		}
		if _, _, err := s.Blob(ctx, repository, config.Digest.String()); constellation.KindOf(err) != constellation.KindNotFound {
			t.Errorf("Blob of %s gives %v, want not found", repository, err)
		}
	}
	blob, size, err := s.Blob(ctx, "neo/hello", config.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(blob)
	if err := errors.Join(err, blob.Close()); err != nil {
		t.Fatal(err)
	}
	if int64(len(data)) != size || bundle.Digest(data) != config.Digest.String() {
		t.Errorf("Blob gives %d bytes with digest %s, want %d and %s", len(data), bundle.Digest(data), size, config.Digest)
	}
}

// TestBlobUploadDropped shows that what is not committed leaves no blob.
func TestBlobUploadDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openTestStorage(t, dir)
	blob, err := s.createBlob(t.Context(), "neo/hello")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blob.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	blob.Close()
	err = filepath.WalkDir(filepath.Join(dir, "docker"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%s is left behind", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
