package claim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/transfer"
)

// Launch is a launch with what it uses of a registry.
type Launch struct {
	Plan      *bundle.Plan
	Registry  *registry.Registry // opened
	Images    map[string]transfer.Mapping
	Server    string // of the cluster that it goes to,
	Namespace string // and the namespace; "" where this machine knows none
	Attempts  transfer.Retrier
	Report    *progress.Reporter
}

// claimsIn returns the repository that the claims on a registry path are in, as
// the registry's API names it.
func (l Launch) claimsIn() (string, error) {
	repository, _, err := l.Registry.Split(l.Images[l.Plan.System.Image.Digest].Tag)
	return repository, err
}

// ownClaim makes the launch's own, but for what was found.
func (l Launch) ownClaim() (registry.Claim, error) {
	plan := l.Plan
	own := registry.Claim{SatelliteID: plan.Satellite.ID, SatelliteName: plan.Satellite.Name, LaunchID: plan.Launch.ID, LaunchName: plan.Launch.Name, Version: plan.Satellite.Version,
		Server: l.Server, Namespace: l.Namespace}
	for _, image := range plan.Images() {
		name, err := l.Registry.ImageName(l.Images[image.Digest].Destination)
		if err != nil {
			return own, err
		}
		own.Images = append(own.Images, name)
	}
	slices.Sort(own.Images)
	content, err := json.Marshal(own)
	if err != nil {
		return own, fmt.Errorf("write the launch's claim: %w", err)
	}
	own.Tag = "launch-" + own.LaunchID + "-" + constellation.ShortHash(bundle.Digest(content))
	return own, nil
}

// Put puts the launch's claim into the registry, before any manifest that it
// names is pushed. A registry that takes none only costs the removal of images: that
// is said, and the push goes on.
func (l Launch) Put(ctx context.Context, all []*transfer.Image) error {
	own, err := l.ownClaim()
	if err != nil {
		return err
	}
	r := l.Attempts
	err = r.Do(ctx, "note what the launch uses", transfer.PlanAttempts, func() error {
		return l.Registry.Classify(ctx, l.putClaim(ctx, own, all), "note what the launch uses")
	})
	if err != nil && ctx.Err() == nil {
		l.Report.Line("! the registry keeps no note of what this launch uses, so 'remove --registry' will delete nothing there: %v", err)
		return nil
	}
	return ctx.Err()
}

func (l Launch) putClaim(ctx context.Context, own registry.Claim, all []*transfer.Image) error {
	repository, err := l.claimsIn()
	if err != nil {
		return err
	}
	there, err := l.Registry.Resolve(ctx, repository, own.Tag)
	if err != nil || there != "" {
		return err
	}
	if own.Found, err = l.found(ctx, repository, all); err != nil {
		return err
	}
	content, err := json.Marshal(own)
	if err != nil {
		return fmt.Errorf("write the launch's claim: %w", err)
	}
	blob := v1.Descriptor{MediaType: registry.ClaimType, Size: int64(len(content))}
	if blob.Digest, err = v1.NewHash(bundle.Digest(content)); err != nil {
		return fmt.Errorf("write the launch's claim: %w", err)
	}
	manifest, err := json.Marshal(v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: blob, Layers: []v1.Descriptor{blob}})
	if err != nil {
		return fmt.Errorf("write the launch's claim: %w", err)
	}
	if err := l.Registry.PutSmall(ctx, repository, blob.Digest.String(), content); err != nil {
		return err
	}
	return l.Registry.PutManifest(ctx, repository, own.Tag, string(types.OCIManifestSchema1), manifest)
}

// found returns the images that are there already and that no claim names.
func (l Launch) found(ctx context.Context, repository string, all []*transfer.Image) ([]string, error) {
	there := map[string]bool{}
	for _, i := range all {
		if i.There {
			there[i.RepositoryPath+"@"+i.Digest] = true
		}
	}
	if len(there) == 0 {
		return nil, nil
	}
	tags, err := l.Registry.Tags(ctx, repository)
	if errors.Is(err, registry.ErrNoTags) {
		return slices.Sorted(maps.Keys(there)), nil
	}
	if err != nil {
		return nil, err
	}
	claims, err := l.Registry.Claims(ctx, repository, tags)
	if err != nil {
		return nil, err
	}
	for _, c := range claims {
		for _, name := range c.Images {
			delete(there, name)
		}
	}
	return slices.Sorted(maps.Keys(there)), nil
}
