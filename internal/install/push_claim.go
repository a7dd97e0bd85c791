package install

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
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/install/transfer"
)

// claimsIn returns the repository that the claims on a registry path are in, as
// the registry's API names it.
func (s *session) claimsIn() (string, error) {
	repository, _, err := s.registry.Split(s.images[s.launch.Plan.System.Image.Digest].Tag)
	return repository, err
}

// ownClaim makes the launch's own, but for what was found.
func (s *session) ownClaim() (registry.Claim, error) {
	plan := s.launch.Plan
	own := registry.Claim{SatelliteID: plan.Satellite.ID, SatelliteName: plan.Satellite.Name, LaunchID: plan.Launch.ID, LaunchName: plan.Launch.Name, Version: plan.Satellite.Version}
	own.Server, own.Namespace = s.place()
	for _, image := range plan.Images() {
		name, err := s.registry.ImageName(s.images[image.Digest].Destination)
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

// place is the cluster and the namespace of the launch.
func (s *session) place() (server, namespace string) {
	return target.Place(s.config.Stage.Kubernetes)
}

// claim puts the launch's claim into the registry, before anything that it names
// is pushed. A registry that takes none only costs the removal of images: that
// is said, and the push goes on.
func (s *session) claim(ctx context.Context, all []*transfer.Image) error {
	own, err := s.ownClaim()
	if err != nil {
		return err
	}
	r := s.attempts
	err = r.Do(ctx, "note what the launch uses", transfer.PlanAttempts, func() error {
		return s.registry.Classify(ctx, s.putClaim(ctx, own, all), "note what the launch uses")
	})
	if err != nil && ctx.Err() == nil {
		s.report.Line("! the registry keeps no note of what this launch uses, so 'remove --registry' will delete nothing there: %v", err)
		return nil
	}
	return ctx.Err()
}

func (s *session) putClaim(ctx context.Context, own registry.Claim, all []*transfer.Image) error {
	repository, err := s.claimsIn()
	if err != nil {
		return err
	}
	there, err := s.registry.Resolve(ctx, repository, own.Tag)
	if err != nil || there != "" {
		return err
	}
	if own.Found, err = s.found(ctx, repository, all); err != nil {
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
	if err := s.registry.PutSmall(ctx, repository, blob.Digest.String(), content); err != nil {
		return err
	}
	return s.registry.PutManifest(ctx, repository, own.Tag, string(types.OCIManifestSchema1), manifest)
}

// found returns the images that are there already and that no claim names.
func (s *session) found(ctx context.Context, repository string, all []*transfer.Image) ([]string, error) {
	there := map[string]bool{}
	for _, i := range all {
		if i.There {
			there[i.RepositoryPath+"@"+i.Digest] = true
		}
	}
	if len(there) == 0 {
		return nil, nil
	}
	tags, err := s.registry.Tags(ctx, repository)
	if errors.Is(err, registry.ErrNoTags) {
		return slices.Sorted(maps.Keys(there)), nil
	}
	if err != nil {
		return nil, err
	}
	claims, err := s.registry.Claims(ctx, repository, tags)
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
