package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// AlgorithmSpec is one algorithm of a satellite as its editor wrote it;
// Algorithm is OWNER/NAME/HASH.
type AlgorithmSpec struct {
	Algorithm, VanityURL string
	Replicas             int
}

// maxAlgorithms is the most algorithms of one satellite version.
const maxAlgorithms = 500

var satelliteVersionListing = listing[constellation.SatelliteVersion]{
	name: "satellite_versions", fallback: "-number",
	sorts: map[string]sortKey[constellation.SatelliteVersion]{
		"number": byNumber(func(v *constellation.SatelliteVersion) int64 { return int64(v.Number) }),
	},
	id: byNumber(func(v *constellation.SatelliteVersion) int64 { return int64(v.Number) }),
}

// ListSatelliteVersions gives a page of a satellite's versions, newest first
// or by number.
func (s *Service) ListSatelliteVersions(ctx context.Context, p Principal, id string, q ListQuery) (Page[constellation.SatelliteVersion], error) {
	list, err := satelliteVersionListing.parse(q)
	if err != nil {
		return Page[constellation.SatelliteVersion]{}, err
	}
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, id, "listing satellite versions")
	if err != nil {
		return Page[constellation.SatelliteVersion]{}, err
	}
	rows, err := s.db.SatelliteVersions(ctx, satellite.ID, list)
	return satelliteVersionListing.page(list, rows), err
}

// GetSatelliteVersion gives one version of a satellite.
func (s *Service) GetSatelliteVersion(ctx context.Context, p Principal, id string, number int) (*constellation.SatelliteVersion, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, id, "reading a satellite version")
	if err != nil {
		return nil, err
	}
	return s.satelliteVersion(ctx, satellite, number)
}

// satelliteVersion finds a version by a number from outside.
func (s *Service) satelliteVersion(ctx context.Context, satellite *constellation.Satellite, number int) (*constellation.SatelliteVersion, error) {
	if message := noSatelliteVersion(satellite, number); message != "" {
		return nil, constellation.Errorf(constellation.KindNotFound, "%s", message)
	}
	return s.db.SatelliteVersion(ctx, satellite.ID, number)
}

// noSatelliteVersion says which versions there are, when number is none.
func noSatelliteVersion(satellite *constellation.Satellite, number int) string {
	latest := satellite.LatestVersion.Number
	switch {
	case number >= 1 && number <= latest:
		return ""
	case latest == 1:
		return fmt.Sprintf("satellite %s has no version %d; its only version is 1", satellite.Name, number)
	}
	return fmt.Sprintf("satellite %s has no version %d; its versions are 1 to %d", satellite.Name, number, latest)
}

// CreateSatelliteVersion makes the satellite's next version and gives the
// satellite's new revision. With ifMatch another revision than that is
// KindPreconditionFailed.
func (s *Service) CreateSatelliteVersion(ctx context.Context, p Principal, id string, ifMatch *int64, specs []AlgorithmSpec) (v *constellation.SatelliteVersion, revision int64, err error) {
	err = s.editSatellite(ctx, p, id, ifMatch, "changing a satellite's algorithms", func(s *Service, satellite *constellation.Satellite) error {
		before := *satellite
		algorithms, versionIDs, err := s.resolve(ctx, constellation.Validation{}, specs)
		if err != nil {
			return err
		}
		s.touch(satellite, p)
		satellite.LatestVersion = constellation.SatelliteVersion{
			Number: before.LatestVersion.Number + 1, CreatedAt: satellite.UpdatedAt, CreatedBy: p.Username, Algorithms: algorithms,
		}
		if err := s.db.InsertSatelliteVersion(ctx, satellite.ID, &satellite.LatestVersion, versionIDs); err != nil {
			return err
		}
		if err := s.db.UpdateSatellite(ctx, satellite); err != nil {
			return err
		}
		v, revision = &satellite.LatestVersion, satellite.Revision
		return s.audit(ctx, p, "satellite_version.create", satelliteTarget(satellite), viewSatellite(&before), viewSatellite(satellite))
	})
	if err != nil {
		return nil, 0, err
	}
	return v, revision, nil
}

// DiffSatelliteVersions gives what changed from one version to another.
func (s *Service) DiffSatelliteVersions(ctx context.Context, p Principal, id string, from, to int) (constellation.VersionDiff, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, id, "comparing satellite versions")
	if err != nil {
		return constellation.VersionDiff{}, err
	}
	older, err := s.satelliteVersion(ctx, satellite, from)
	if err != nil {
		return constellation.VersionDiff{}, err
	}
	newer, err := s.satelliteVersion(ctx, satellite, to)
	if err != nil {
		return constellation.VersionDiff{}, err
	}
	return constellation.DiffVersions(older.Algorithms, newer.Algorithms), nil
}

// resolve checks the algorithms of a satellite and finds their versions. v
// has what the caller found already: the error has every field at once.
func (s *Service) resolve(ctx context.Context, v constellation.Validation, specs []AlgorithmSpec) ([]constellation.SatelliteAlgorithm, []string, error) {
	if len(specs) > maxAlgorithms {
		v.Add("algorithms", "a satellite has at most %d algorithms; these are %d", maxAlgorithms, len(specs))
		return nil, nil, v.Err()
	}
	refs := make([]constellation.AlgorithmRef, len(specs)) // zero where it cannot be read
	first := map[string]int{}
	for i, spec := range specs {
		field := fmt.Sprintf("algorithms[%d]", i)
		refs[i] = checkRef(&v, field+".algorithm", spec.Algorithm)
		constellation.CheckVanityURL(&v, field+".vanity_url", spec.VanityURL)
		if earlier, ok := first[spec.VanityURL]; ok {
			v.Add(field+".vanity_url", "the vanity URL %q is that of algorithms[%d] already; give another", spec.VanityURL, earlier)
		} else {
			first[spec.VanityURL] = i
		}
		if spec.Replicas < 0 || spec.Replicas > constellation.MaxReplicas {
			v.Add(field+".replicas", "replicas is a number from 0 to %d; not %d", constellation.MaxReplicas, spec.Replicas)
		}
	}
	found, err := s.find(ctx, &v, refs)
	if err != nil {
		return nil, nil, err
	}
	if err := v.Err(); err != nil {
		return nil, nil, err
	}
	algorithms, ids := make([]constellation.SatelliteAlgorithm, len(specs)), make([]string, len(specs))
	for i, spec := range specs {
		ids[i] = found[i].ID
		algorithms[i] = constellation.SatelliteAlgorithm{VanityURL: spec.VanityURL, Algorithm: found[i].Ref(), Replicas: spec.Replicas}
	}
	return algorithms, ids, nil
}

// checkRef reads OWNER/NAME/HASH, or tells v all that is wrong with it.
func checkRef(v *constellation.Validation, field, text string) constellation.AlgorithmRef {
	ref, err := constellation.ParseAlgorithmRef(text)
	if err == nil {
		return ref
	}
	var e *constellation.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		v.Add(field, "an algorithm is written OWNER/NAME/HASH, HASH with 40 lower-case hex digits; not %q", clean(text, 200))
		return constellation.AlgorithmRef{}
	}
	for _, f := range e.Fields {
		v.Add(field, "%s", f.Message)
	}
	return constellation.AlgorithmRef{}
}

// find gives the version of each ref, in order, and tells v of those that do
// not exist or are not ready. Zero refs are skipped.
func (s *Service) find(ctx context.Context, v *constellation.Validation, refs []constellation.AlgorithmRef) ([]*constellation.AlgorithmVersion, error) {
	rows, err := s.db.AlgorithmVersionsByRef(ctx, refs)
	if err != nil {
		return nil, err
	}
	type key struct{ repository, hash string }
	known := make(map[key]*constellation.AlgorithmVersion, len(rows))
	for i := range rows {
		known[key{rows[i].Image.Repository, rows[i].GitHash}] = &rows[i]
	}
	found := make([]*constellation.AlgorithmVersion, len(refs))
	for i, ref := range refs {
		if ref == (constellation.AlgorithmRef{}) {
			continue
		}
		found[i] = known[key{ref.Repository(), ref.Hash}]
		message, err := s.unusable(ctx, ref, found[i])
		if err != nil {
			return nil, err
		}
		if message != "" {
			v.Add(fmt.Sprintf("algorithms[%d].algorithm", i), "%s", message)
		}
	}
	return found, nil
}

// unusable says why a version cannot be in a satellite, "" when it can; it is
// nil when it does not exist.
func (s *Service) unusable(ctx context.Context, ref constellation.AlgorithmRef, version *constellation.AlgorithmVersion) (string, error) {
	switch {
	case version == nil:
		algorithm, err := s.db.Algorithm(ctx, ref.Owner, ref.Name)
		if constellation.KindOf(err) == constellation.KindNotFound {
			return fmt.Sprintf("there is no algorithm %s/%s", ref.Owner, ref.Name), nil
		} else if err != nil {
			return "", err
		}
		return s.noVersion(ctx, algorithm, ref.Hash)
	case version.State == constellation.VersionImporting:
		return fmt.Sprintf("%s is still being imported; wait until it is ready", ref), nil
	case version.State != constellation.VersionReady:
		return fmt.Sprintf("the import of %s failed; import it again or choose another version", ref), nil
	}
	return "", nil
}
