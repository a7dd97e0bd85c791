package transfer

import (
	"context"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/registry"
)

// manifests puts an image's manifests, those that others name first, and the
// image itself under its tag.
func (u *uploader) manifests(ctx context.Context, i *Image, report *progress.Reporter) error {
	last := len(i.manifests) - 1
	for n, manifest := range i.manifests {
		reference := manifest.Digest
		if n == last {
			reference = i.TagName
		}
		what := "push " + i.Tag
		err := u.Do(ctx, what, BlobAttempts, func() error {
			err := u.manifest(ctx, i.RepositoryPath, reference, manifest)
			if n == last && registry.IsImmutable(err) {
				report.Line("the registry keeps another image under %s (%v); this one is pushed without a tag, and pods run it by its digest", i.Tag, err)
				err = u.manifest(ctx, i.RepositoryPath, manifest.Digest, manifest)
			}
			return u.classify(ctx, err, what)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *uploader) manifest(ctx context.Context, repository, reference string, manifest bundle.Descriptor) error {
	data, err := u.source.Document(manifest.Digest)
	if err != nil {
		return err
	}
	return u.PutManifest(ctx, repository, reference, manifest.MediaType, data)
}
