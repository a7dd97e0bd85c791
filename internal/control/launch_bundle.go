package control

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// LaunchBundle returns a launch's bundle: the same rows give the same bytes,
// until a key expires. An expired satellite's is refused.
func (s *Service) LaunchBundle(ctx context.Context, p Principal, satelliteID, launchID string) (*bundle.Bundle, *constellation.Launch, error) {
	satellite, err := s.bundleSatellite(ctx, p, satelliteID)
	if err != nil {
		return nil, nil, err
	}
	launch, err := s.launch(ctx, p, satellite.ID, launchID)
	if err != nil {
		return nil, nil, err
	}
	b, err := s.build(ctx, satellite, launch)
	if err != nil {
		return nil, nil, err
	}
	return b, launch, nil
}

// bundleSatellite finds a satellite whose bundles the principal may have.
func (s *Service) bundleSatellite(ctx context.Context, p Principal, id string) (*constellation.Satellite, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleOperator, id, "getting a bundle")
	if err != nil {
		return nil, err
	}
	if satellite.Expired(s.now()) {
		return nil, constellation.Errorf(constellation.KindForbidden,
			"satellite %s expired on %s, so its bundles are not given out; ask an admin to renew it", satellite.Name, day(satellite.ExpiresAt))
	}
	return satellite, nil
}

// build returns the bundle of a launch, from memory when nothing it is made of
// has changed.
func (s *Service) build(ctx context.Context, satellite *constellation.Satellite, launch *constellation.Launch) (*bundle.Bundle, error) {
	plan, err := s.plan(ctx, satellite, launch)
	if err != nil {
		return nil, err
	}
	key, err := s.signingKey(ctx)
	if err != nil {
		return nil, err
	}
	inputs, err := json.Marshal(plan)
	if err != nil {
		return nil, fmt.Errorf("encode plan of launch %s: %w", launch.ID, err)
	}
	digest := bundle.Digest(append(inputs, key.public()...)) // signed anew once the key is another
	if b := s.memory.bundles.get(digest); b != nil {
		return b, nil
	}
	b, err := bundle.Build(ctx, plan, bundleContent{s}, key.key, key.rotations...)
	if err != nil {
		return nil, fmt.Errorf("build bundle of launch %s: %w", launch.ID, err)
	}
	made := cachedBundle{inputs: digest, satelliteID: satellite.ID, launchID: launch.ID, bundle: b}
	s.memory.bundles.put(made)
	s.keepBundle(ctx, made)
	return b, nil
}

// plan reads all that a launch's plan is made of.
func (s *Service) plan(ctx context.Context, satellite *constellation.Satellite, launch *constellation.Launch) (*bundle.Plan, error) {
	version, err := s.db.SatelliteVersion(ctx, satellite.ID, launch.SatelliteVersion)
	if err != nil {
		return nil, err
	}
	images, err := s.db.SatelliteImages(ctx, satellite.ID, version.Number)
	if err != nil {
		return nil, err
	}
	access, err := s.db.Access(ctx, satellite.ID, s.now())
	if err != nil {
		return nil, err
	}
	sealed, err := s.db.LaunchToken(ctx, launch.ID)
	if err != nil {
		return nil, err
	}
	token, err := s.options.Sealer.Open(tokenPlace(launch.ID), sealed)
	if err != nil {
		return nil, err
	}
	system, err := s.options.SystemImage(ctx)
	if err != nil {
		return nil, fmt.Errorf("get the system image: %w", err)
	}
	plan := &bundle.Plan{
		Satellite: bundle.Satellite{
			ID: satellite.ID, Name: satellite.Name, Version: version.Number,
			VersionCreatedAt: version.CreatedAt, ExpiresAt: access.ExpiresAt, AccessVersion: access.Version,
		},
		Launch:     bundle.Launch{ID: launch.ID, Name: launch.Name, Description: launch.Description, Token: string(token)},
		Mothership: bundle.Mothership{URL: s.options.PublicURL, Version: s.options.Version},
		System:     system,
		Algorithms: make([]bundle.Algorithm, len(images)),
		Keys:       make([]bundle.Key, len(access.Keys)),
		Schedules:  version.Schedules,
	}
	weights, err := s.planWeights(ctx, version)
	if err != nil {
		return nil, err
	}
	for i, image := range images {
		plan.Algorithms[i] = planAlgorithm(version.Algorithms[i], &image)
		plan.Algorithms[i].Weights = weights[i]
	}
	for i, key := range access.Keys {
		plan.Keys[i] = bundle.Key{ID: key.ID, Name: key.Name, SHA256: key.SHA256, Algorithms: key.Algorithms, Rate: key.Rate, ExpiresAt: key.ExpiresAt, CallbackURL: key.CallbackURL}
	}
	plan.SchemaVersion = plan.Schema()
	return plan, nil
}

func planAlgorithm(a constellation.SatelliteAlgorithm, v *constellation.AlgorithmVersion) bundle.Algorithm {
	return bundle.Algorithm{
		VanityURL: a.VanityURL, Algorithm: a.Algorithm.String(), SemanticVersion: v.SemanticVersion,
		Replicas: a.Replicas, MinReplicas: a.MinReplicas, MaxReplicas: a.MaxReplicas,
		Image:       planImage(v.Image),
		Runtime:     v.Runtime.WithDefaults(),
		PodSettings: a.Settings,
	}
}

func planImage(i constellation.Image) bundle.Image {
	return bundle.Image{Repository: i.Repository, Digest: i.Digest, MediaType: i.MediaType, Platforms: i.Platforms}
}

// recentLaunches is how many launches of a satellite are looked through for a
// digest that no bundle in memory holds.
const recentLaunches = 100

// BundleDocument returns a bundle of the satellite that holds the digest, be it
// of the bundle's own documents, a manifest or a blob: so a pull by digest
// goes on after its tag was resolved, here or at another server, though the
// launch may have changed meanwhile.
func (s *Service) BundleDocument(ctx context.Context, p Principal, satelliteID, digest string) (*bundle.Bundle, error) {
	satellite, err := s.bundleSatellite(ctx, p, satelliteID)
	if err != nil {
		return nil, err
	}
	for _, cached := range s.memory.bundles.of(satellite.ID) {
		if !holds(cached.bundle, digest) {
			continue
		}
		// Not of a launch that was removed since.
		if _, err := s.db.Launch(ctx, cached.launchID); err == nil {
			return cached.bundle, nil
		} else if constellation.KindOf(err) != constellation.KindNotFound {
			return nil, err
		}
	}
	if kept, err := s.keptBundle(ctx, satellite.ID, digest); err != nil || kept != nil {
		return kept, err
	}
	launches, err := s.db.Launches(ctx, satellite.ID, postgres.RunFilter{}, postgres.List{Sort: "created_at", Desc: true, Limit: recentLaunches})
	if err != nil {
		return nil, err
	}
	var lost error
	for _, launch := range launches {
		b, err := s.build(ctx, satellite, &launch)
		if constellation.KindOf(err) == constellation.KindNotFound { // another launch may have it
			lost = err
			continue
		}
		if err != nil {
			return nil, err
		}
		if holds(b, digest) {
			return b, nil
		}
	}
	if lost != nil {
		return nil, lost
	}
	return nil, constellation.Errorf(constellation.KindNotFound, "no bundle of satellite %s holds %s; resolve the launch's tag again", satellite.Name, clean(digest, 80))
}

func holds(b *bundle.Bundle, digest string) bool {
	if _, ok := b.Documents[digest]; ok {
		return true
	}
	_, ok := b.Repositories[digest]
	return ok
}
