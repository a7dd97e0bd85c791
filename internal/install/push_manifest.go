package install

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// manifests puts an image's manifests, those that others name first, and the
// image itself under its tag.
func (u *uploader) manifests(ctx context.Context, i *image, progress *Progress) error {
	last := len(i.manifests) - 1
	for n, manifest := range i.manifests {
		reference := manifest.Digest
		if n == last {
			reference = i.tag
		}
		what := "push " + i.Tag
		err := u.retry(ctx, what, blobAttempts, func() (bool, error) {
			err := u.manifest(ctx, i.repository, reference, manifest)
			if n == last && isImmutable(err) {
				progress.Line("the registry keeps another image under %s; this one is pushed without a tag, and pods run it by its digest", i.Tag)
				err = u.manifest(ctx, i.repository, manifest.Digest, manifest)
			}
			return false, u.judge(ctx, err, what)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *uploader) manifest(ctx context.Context, repository, reference string, manifest bundle.Descriptor) error {
	data, err := u.source.document(manifest.Digest)
	if err != nil {
		return err
	}
	response, err := u.send(ctx, exchange{method: http.MethodPut, url: "/v2/" + repository + "/manifests/" + reference, repository: repository,
		header: http.Header{"Content-Type": {manifest.MediaType}},
		body:   &uploadBody{from: bytes.NewReader(data), size: int64(len(data))}})
	if err != nil {
		return err
	}
	defer drain(response)
	if response.StatusCode != http.StatusCreated && response.StatusCode != http.StatusOK && response.StatusCode != http.StatusAccepted {
		return laterRefusal(response)
	}
	if got := response.Header.Get("Docker-Content-Digest"); got != "" && got != manifest.Digest {
		return damaged{errorf(CodeIntegrity, "the registry stored %s as %s: it changes what is pushed to it, and pods could not find it", manifest.Digest, got)}
	}
	return nil
}

// isImmutable says whether a registry refused to move a tag, each in its own
// words.
func isImmutable(err error) bool {
	var refused *refusal
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusPreconditionFailed, http.StatusMethodNotAllowed:
	default:
		return false
	}
	text := strings.ToLower(refused.code + " " + refused.message)
	return strings.Contains(text, "immutab") || strings.Contains(text, "tag_invalid") || strings.Contains(text, "already exist") || strings.Contains(text, "never moves")
}
