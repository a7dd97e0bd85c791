package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/cron"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// AlgorithmSpec is one algorithm of a satellite as its editor wrote it;
// Algorithm is OWNER/NAME/HASH.
type AlgorithmSpec struct {
	Algorithm, VanityURL string
	Replicas             int
	MinReplicas          *int
	MaxReplicas          int

	// Settings of which a part is nil are, in that part, those that the version
	// before has at the vanity URL: an editor who does not know of them removes
	// none.
	Settings constellation.PodSettings

	// Weights nil are those that the version before has at the vanity URL.
	Weights []WeightsSpec

	// RuntimeRevision is which of the algorithm's runtime settings it has; 0 is the
	// newest.
	RuntimeRevision int
}

// WeightsSpec is weights that an algorithm reads as its editor wrote them; Artifact
// is OWNER/NAME/HASH.
type WeightsSpec struct{ Artifact, Path string }

// VersionSpec is a satellite version as its editor wrote it. Schedules nil are
// those of the version before, so that an editor who does not know of them
// removes none; what is left out in one is constellation.Schedule's default.
type VersionSpec struct {
	Algorithms []AlgorithmSpec
	Schedules  []constellation.Schedule
}

var satelliteVersionListing = listing[constellation.SatelliteVersion]{
	name: "satellite_versions", fallback: "-number",
	sorts: map[string]sortKey[constellation.SatelliteVersion]{
		"number": byNumber(func(v *constellation.SatelliteVersion) int64 { return int64(v.Number) }),
	},
	id: byNumber(func(v *constellation.SatelliteVersion) int64 { return int64(v.Number) }),
}

// ListSatelliteVersions returns a page of a satellite's versions, newest first
// or by number; their algorithms only when the query expands.
func (s *Service) ListSatelliteVersions(ctx context.Context, p Principal, id string, q ListQuery) (Page[constellation.SatelliteVersion], error) {
	list, err := satelliteVersionListing.parse(q, id)
	if err != nil {
		return Page[constellation.SatelliteVersion]{}, err
	}
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, id, "listing satellite versions")
	if err != nil {
		return Page[constellation.SatelliteVersion]{}, err
	}
	rows, err := s.db.SatelliteVersions(ctx, satellite.ID, list)
	page := satelliteVersionListing.page(list, rows)
	if err != nil || !q.Expand {
		return page, err
	}
	err = fill(&page, func(rows []constellation.SatelliteVersion) error { return s.db.LoadVersions(ctx, satellite.ID, rows) },
		func(v *constellation.SatelliteVersion) int { return nested(v) })
	return page, err
}

// GetSatelliteVersion returns one version of a satellite.
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
	version, err := s.db.SatelliteVersion(ctx, satellite.ID, number)
	if constellation.KindOf(err) == constellation.KindNotFound {
		return nil, constellation.Wrap(err, constellation.KindNotFound, "%s", removedVersion(satellite, number))
	}
	return version, err
}

// removedVersion says that there was a version, and is none any more.
func removedVersion(satellite *constellation.Satellite, number int) string {
	return fmt.Sprintf("version %d of satellite %s was removed; its latest version is %d", number, satellite.Name, satellite.LatestVersion.Number)
}

// noSatelliteVersion returns a message on which versions there are, "" when
// number is one.
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

// keepSettings returns specs with what they leave out of their settings as the
// version before has it.
func keepSettings(specs []AlgorithmSpec, before []constellation.SatelliteAlgorithm) []AlgorithmSpec {
	had := make(map[string]constellation.PodSettings, len(before))
	for _, a := range before {
		had[a.VanityURL] = a.Settings
	}
	kept := slices.Clone(specs)
	for i := range kept {
		now, was := &kept[i].Settings, had[kept[i].VanityURL]
		if now.Env == nil {
			now.Env = was.Env
		}
		if now.EnvFrom == nil {
			now.EnvFrom = was.EnvFrom
		}
		if now.Volumes == nil {
			now.Volumes = was.Volumes
		}
	}
	return kept
}

// DiffSatelliteVersions returns what changed from one version to another.
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
	return constellation.DiffVersions(older, newer), nil
}

// resolve checks what p puts into a satellite, and finds the algorithms' versions,
// whose ids it returns beside the content of the satellite's version. v has what
// the caller found already: the error has every field at once.
func (s *Service) resolve(ctx context.Context, p Principal, v constellation.Validation, spec VersionSpec) (constellation.SatelliteVersion, postgres.VersionIDs, error) {
	specs, none, ids := spec.Algorithms, constellation.SatelliteVersion{}, postgres.VersionIDs{}
	if len(specs) > constellation.MaxAlgorithms {
		v.Add("algorithms", "a satellite has at most %d algorithms; these are %d", constellation.MaxAlgorithms, len(specs))
		return none, ids, v.Err()
	}
	refs := make([]constellation.AlgorithmRef, len(specs)) // zero where it cannot be read
	first, settings := map[string]int{}, make([]constellation.PodSettings, len(specs))
	for i, spec := range specs {
		field := fmt.Sprintf("algorithms[%d]", i)
		refs[i] = checkRef(&v, field+".algorithm", spec.Algorithm)
		constellation.CheckVanityURL(&v, field+".vanity_url", spec.VanityURL)
		if earlier, ok := first[spec.VanityURL]; ok {
			v.Add(field+".vanity_url", "the vanity URL %q is that of algorithms[%d] already; give another", spec.VanityURL, earlier)
		} else {
			first[spec.VanityURL] = i
		}
		constellation.Scale{Replicas: spec.Replicas, MinReplicas: spec.MinReplicas, MaxReplicas: spec.MaxReplicas}.Check(&v, field+".")
		spec.Settings.Check(&v, field+".")
		settings[i] = spec.Settings
	}
	constellation.CheckSettingsRoom(&v, "algorithms", settings)
	mounts := checkWeights(&v, specs)
	schedules := checkSchedules(&v, spec)
	found, err := s.reachable(ctx, p, &v, refs, algorithmField, constellation.CodeVersion)
	if err != nil {
		return none, ids, err
	}
	weights, err := s.reachable(ctx, p, &v, mounts.refs, mounts.field, constellation.WeightsVersion)
	if err != nil {
		return none, ids, err
	}
	checkRuntimeRevisions(&v, specs, found)
	if err := s.checkScheduled(ctx, &v, specs, found, schedules); err != nil {
		return none, ids, err
	}
	if err := v.Err(); err != nil {
		return none, ids, err
	}
	if err := checkRoom(specs, found, schedules); err != nil {
		return none, ids, err
	}
	version := constellation.SatelliteVersion{Algorithms: make([]constellation.SatelliteAlgorithm, len(specs)), Schedules: schedules}
	ids.Algorithms = make([]string, len(specs))
	for i, spec := range specs {
		ids.Algorithms[i] = found[i].ID
		version.Algorithms[i] = constellation.SatelliteAlgorithm{
			VanityURL: spec.VanityURL, Algorithm: found[i].Ref(), Replicas: spec.Replicas, MinReplicas: spec.MinReplicas, MaxReplicas: spec.MaxReplicas,
			Settings: spec.Settings, RuntimeRevision: cmp.Or(spec.RuntimeRevision, found[i].RuntimeRevision),
		}
	}
	ids.Weights = mounts.fill(version.Algorithms, weights)
	return version, ids, nil
}

// checkRuntimeRevisions adds to v which algorithms ask for runtime settings that
// their versions never had.
func checkRuntimeRevisions(v *constellation.Validation, specs []AlgorithmSpec, found []*constellation.AlgorithmVersion) {
	for i, spec := range specs {
		if version := found[i]; version != nil && (spec.RuntimeRevision < 0 || spec.RuntimeRevision > version.RuntimeRevision) {
			v.Add(fmt.Sprintf("algorithms[%d].runtime_revision", i), "the runtime settings of %s have the revisions 1 to %d; leave it out for the newest", version.Ref(), version.RuntimeRevision)
		}
	}
}

// checkScheduled adds to v which schedules call what no schedule can.
func (s *Service) checkScheduled(ctx context.Context, v *constellation.Validation, specs []AlgorithmSpec, found []*constellation.AlgorithmVersion, schedules []constellation.Schedule) error {
	if len(schedules) == 0 {
		return nil
	}
	var ids, vanityURLs []string
	var revisions []int
	for i, version := range found {
		if version != nil {
			ids, revisions = append(ids, version.ID), append(revisions, cmp.Or(specs[i].RuntimeRevision, version.RuntimeRevision))
			vanityURLs = append(vanityURLs, specs[i].VanityURL)
		}
	}
	runtimes, err := s.db.Runtimes(ctx, ids, revisions)
	if err != nil {
		return err
	}
	for i, schedule := range schedules {
		if at := slices.Index(vanityURLs, schedule.VanityURL); at >= 0 {
			constellation.CheckScheduled(v, fmt.Sprintf("schedules[%d].vanity_url", i), schedule, runtimes[at])
		}
	}
	return nil
}

// CheckScheduled reports what is wrong with a schedule at its vanity_url: that the
// algorithm there cannot run on one. What cannot be read of that is told elsewhere.
func (s *Service) CheckScheduled(ctx context.Context, p Principal, algorithm constellation.SatelliteAlgorithm, schedule constellation.Schedule) error {
	if err := p.mayEverywhere(constellation.RoleViewer, "reading an algorithm version"); err != nil {
		return err
	}
	found, err := s.db.AlgorithmVersionsByRef(ctx, []constellation.AlgorithmRef{algorithm.Algorithm})
	if err != nil || len(found) == 0 {
		return err
	}
	var v constellation.Validation
	specs := []AlgorithmSpec{{VanityURL: algorithm.VanityURL, RuntimeRevision: algorithm.RuntimeRevision}}
	if err := s.checkScheduled(ctx, &v, specs, []*constellation.AlgorithmVersion{&found[0]}, []constellation.Schedule{schedule}); err != nil {
		return err
	}
	return v.Err()
}

// checkRoom says when a cluster has no room for the algorithms and schedules of a
// version: each of them may be fine alone.
func checkRoom(specs []AlgorithmSpec, found []*constellation.AlgorithmVersion, schedules []constellation.Schedule) error {
	var room constellation.RouteRoom
	for i, spec := range specs {
		room.AddRoute(spec.VanityURL, found[i])
	}
	for _, schedule := range schedules {
		room.AddSchedule(schedule)
	}
	var v constellation.Validation
	room.Check(&v)
	return v.Err()
}

// checkSchedules returns the schedules of a version with their defaults, and adds
// to v what is wrong with them, when they run too.
func checkSchedules(v *constellation.Validation, spec VersionSpec) []constellation.Schedule {
	if len(spec.Schedules) == 0 {
		return nil
	}
	vanityURLs := make([]string, len(spec.Algorithms))
	for i, a := range spec.Algorithms {
		vanityURLs[i] = a.VanityURL
	}
	schedules := make([]constellation.Schedule, len(spec.Schedules))
	for i, schedule := range spec.Schedules {
		schedules[i] = schedule.WithDefaults()
	}
	constellation.CheckSchedules(v, "schedules", schedules, vanityURLs)
	if len(schedules) > constellation.MaxSchedules {
		return nil
	}
	for i, schedule := range schedules {
		var alone constellation.Validation
		schedule.CheckCron(&alone, "")
		if alone.Err() != nil { // it was told
			continue
		}
		if err := cron.Check(schedule.Cron); err != nil {
			v.Add(fmt.Sprintf("schedules[%d].cron", i), "%s", err)
		}
	}
	return schedules
}

// checkKeyReach keeps a key that is limited to one satellite from algorithms that
// no version of its satellite has: it could pull through its bundles what it
// may not read. They are zero then, whether they exist or not, and v says so.
func (s *Service) checkKeyReach(ctx context.Context, p Principal, v *constellation.Validation, refs []constellation.AlgorithmRef, field func(int) string) error {
	if p.SatelliteID == "" {
		return nil
	}
	had, err := s.db.SatelliteRepositories(ctx, p.SatelliteID)
	if err != nil {
		return err
	}
	for i, ref := range refs {
		if ref == (constellation.AlgorithmRef{}) || slices.Contains(had, ref.Repository()) {
			continue
		}
		v.Add(field(i), "no version of this satellite has an algorithm %s/%s, and this API key is limited to this satellite; "+
			"add it once with a key of every satellite", ref.Owner, ref.Name)
		refs[i] = constellation.AlgorithmRef{}
	}
	return nil
}

// checkRef reads OWNER/NAME/HASH, or adds to v all that is wrong with it.
func checkRef(v *constellation.Validation, field, text string) constellation.AlgorithmRef {
	ref, err := constellation.ParseAlgorithmRef(text)
	if err == nil {
		return ref
	}
	var e *constellation.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		v.Add(field, "an algorithm is written OWNER/NAME/HASH, HASH with %s; not %q", constellation.HashRule, clean(text, 200))
		return constellation.AlgorithmRef{}
	}
	for _, f := range e.Fields {
		v.Add(field, "%s", f.Message)
	}
	return constellation.AlgorithmRef{}
}

func algorithmField(i int) string { return fmt.Sprintf("algorithms[%d].algorithm", i) }

// reachable returns the version of each ref, in order, and adds to v those that p
// may not take, that do not exist, are not ready or are of another kind. Zero
// refs are skipped; field names each.
func (s *Service) reachable(ctx context.Context, p Principal, v *constellation.Validation, refs []constellation.AlgorithmRef, field func(int) string, kind constellation.VersionKind) ([]*constellation.AlgorithmVersion, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	if err := s.checkKeyReach(ctx, p, v, refs, field); err != nil {
		return nil, err
	}
	found, err := s.find(ctx, p, v, refs, field)
	if err != nil {
		return nil, err
	}
	for i, ref := range refs {
		switch version := found[i]; {
		case version == nil || version.Kind() == kind:
		case kind == constellation.CodeVersion:
			v.Add(field(i), "%s holds weights and no code: no vanity URL calls it; name it in the weights of an algorithm that reads it", ref)
		default:
			v.Add(field(i), "%s is an algorithm and no weights; push weights as their own version, as the guide says on 'Model weights'", ref)
		}
	}
	return found, nil
}

// find returns the version of each ref, in order, and adds to v those that do
// not exist or are not ready. Zero refs are skipped.
func (s *Service) find(ctx context.Context, p Principal, v *constellation.Validation, refs []constellation.AlgorithmRef, field func(int) string) ([]*constellation.AlgorithmVersion, error) {
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
		message, err := s.unusable(ctx, p, ref, found[i])
		if err != nil {
			return nil, err
		}
		if message != "" {
			v.Add(field(i), "%s", message)
		}
	}
	return found, nil
}

// unusable returns why a version cannot be in a satellite, "" when it can; it is
// nil when it does not exist.
func (s *Service) unusable(ctx context.Context, p Principal, ref constellation.AlgorithmRef, version *constellation.AlgorithmVersion) (string, error) {
	switch {
	case version == nil:
		algorithm, err := s.db.Algorithm(ctx, ref.Owner, ref.Name)
		if constellation.KindOf(err) == constellation.KindNotFound {
			return fmt.Sprintf("there is no algorithm %s/%s", ref.Owner, ref.Name), nil
		} else if err != nil {
			return "", err
		}
		return s.noVersion(ctx, p, algorithm, ref.Hash)
	case version.State == constellation.VersionImporting:
		return fmt.Sprintf("%s is still being imported; wait until it is ready", ref), nil
	case version.State != constellation.VersionReady:
		return fmt.Sprintf("the import of %s failed; import it again or choose another version", ref), nil
	}
	return "", nil
}
