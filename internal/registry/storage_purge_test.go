package registry

import (
	"errors"
	"testing"
	"time"

	"github.com/distribution/distribution/v3"
)

// TestPurge removes the upload that was begun too long ago, and no other.
func TestPurge(t *testing.T) {
	t.Parallel()
	s := openTestStorage(t, t.TempDir())
	ctx := t.Context()
	if err := s.purge(ctx, time.Now()); err != nil {
		t.Errorf("purge an empty registry: %v", err)
	}
	begin := func() string {
		upload, err := s.createBlob(ctx, "neo/hello")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := upload.Write([]byte("half")); err != nil {
			t.Fatal(err)
		}
		if err := upload.BlobWriter.Close(); err != nil { // not dropped
			t.Fatal(err)
		}
		return upload.ID()
	}
	left, going := begin(), begin()
	at := repositoriesRoot + "/neo/hello/_uploads/" + left + "/startedat"
	if err := s.driver.PutContent(ctx, at, []byte(time.Now().Add(-uploadAge-time.Hour).UTC().Format(time.RFC3339))); err != nil {
		t.Fatal(err)
	}
	if err := s.purge(ctx, time.Now().Add(-uploadAge)); err != nil {
		t.Fatal(err)
	}
	repo, err := s.named(ctx, "neo/hello")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Blobs(ctx).Resume(ctx, left); !errors.Is(err, distribution.ErrBlobUploadUnknown) {
		t.Errorf("the upload that was left is there still: %v", err)
	}
	upload, err := repo.Blobs(ctx).Resume(ctx, going)
	if err != nil {
		t.Fatalf("the upload that goes on is gone: %v", err)
	}
	if err := upload.Cancel(ctx); err != nil {
		t.Error(err)
	}
}
