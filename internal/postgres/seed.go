package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Seed is how much made-up data a database is filled with, to see how the
// mothership does with it. The images of its algorithms are in no registry.
type Seed struct {
	Satellites, Launches int
	Reports              int // of the launches, that have reported; at most all
	Now                  time.Time
	// Token makes a launch's token as it is stored.
	Token func(launchID, satelliteID string) (sealed []byte, sha256 string, err error)
}

const (
	seedOwners     = 50
	seedAlgorithms = 1000
	seedVersions   = 3 // of each algorithm
	seedActor      = "seed"
)

var (
	seedRegions = []string{"eu", "eu", "ap", "sa", "eu", "af", "sa", "ap", "eu", "af", "eu", "eu", "ap", "eu", "us", "eu", "eu", "eu", "sa", "eu"} // of the cities
	seedTiers   = []string{"prod", "prod", "prod", "staging", "prod", "prod", "dev", "prod", "prod", "staging"}
	seedCities  = []string{"Berlin", "Paris", "Osaka", "Lima", "Oslo", "Nairobi", "Quito", "Perth", "Turin", "Dakar", "Malmö", "Leeds", "Kyoto", "Porto", "Tampa", "Basel", "İzmir", "Łódź", "São Paulo", "Zürich"}
	seedUses    = []string{"Edge", "Factory", "Warehouse", "Clinic", "Harbour", "Lab", "Store", "Depot", "Turbine", "Campus", "Archive", "Airport", "Mine"}
)

// seedHealth has launches behind for as long as those that report late have been silent,
// or since they were made.
const seedHealth = `UPDATE launch_index SET behind_since = least(seen_at, created_at + interval '1 day') WHERE behind_since < 'infinity'`

// Seed fills an empty database, and vacuums it.
func (db *DB) Seed(ctx context.Context, s Seed) error {
	err := db.Transact(ctx, func(db *DB) error {
		any, err := scalar[bool](ctx, db, "look for satellites", `SELECT EXISTS (SELECT FROM satellites) OR EXISTS (SELECT FROM algorithms)`, nil)
		if err != nil {
			return err
		}
		if any {
			return constellation.Errorf(constellation.KindConflict, "this database has satellites or algorithms; made-up data goes into an empty one")
		}
		r := &seeding{Seed: s, db: db, owners: uuids(seedOwners), algorithms: uuids(seedAlgorithms), versions: uuids(seedAlgorithms * seedVersions), satellites: uuids(s.Satellites), launches: uuids(s.Launches)}
		for _, table := range r.tables() {
			if err := r.copy(ctx, table); err != nil {
				return err
			}
		}
		return db.exec(ctx, "order what was reported", seedHealth, nil)
	})
	if err != nil {
		return err
	}
	// Each key that was added has changed its satellite's row.
	if err := db.exec(ctx, "vacuum satellites", `VACUUM FULL satellites`, nil); err != nil {
		return err
	}
	return db.exec(ctx, "vacuum", `VACUUM ANALYZE`, nil)
}

// seeding is one run of Seed. Row i of every table is a function of i, so that
// nothing but the ids is kept in memory.
type seeding struct {
	Seed
	db                                                 *DB
	owners, algorithms, versions, satellites, launches []string
}

// seedTable is what a table is filled with.
type seedTable struct {
	name    string
	columns []string
	rows    int
	row     func(i int) ([]any, error)
}

func uuids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = uuid.NewString()
	}
	return list
}

func (r *seeding) copy(ctx context.Context, t seedTable) error {
	i := 0
	_, err := r.db.tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(func() ([]any, error) {
		if i >= t.rows {
			return nil, nil
		}
		i++
		return t.row(i - 1)
	}))
	return translate(err, "fill "+t.name)
}

func (r *seeding) tables() []seedTable {
	return []seedTable{
		{"owners", []string{"id", "name", "name_key", "created_at"}, seedOwners, r.owner},
		{"algorithms", []string{"id", "owner_id", "name", "repository", "created_at", "created_by"}, seedAlgorithms, r.algorithm},
		{"algorithm_versions", []string{"id", "algorithm_id", "git_hash", "semantic_version", "state", "digest", "media_type", "size", "platforms", "runtime", "created_at", "created_by"}, seedAlgorithms * seedVersions, r.algorithmVersion},
		{"satellites", []string{"id", "name", "name_key", "expires_at", "created_at", "created_by", "updated_at", "updated_by", "revision", "latest_version", "launch_count", "launches_up", "launches_degraded", "launches_stale", "labels", "label_terms"}, r.Satellites, r.satellite},
		{"satellite_versions", []string{"satellite_id", "number", "created_at", "created_by"}, 2 * r.Satellites, r.satelliteVersion},
		{"satellite_algorithms", []string{"satellite_id", "number", "position", "vanity_url", "algorithm_version_id", "replicas"}, 4 * r.Satellites, r.satelliteAlgorithm},
		{"satellite_keys", []string{"id", "satellite_id", "name", "name_key", "prefix", "sha256", "created_at", "created_by"}, r.Satellites, r.satelliteKey},
		{"launches", []string{"id", "satellite_id", "satellite_version", "name", "name_key", "description", "token_sealed", "token_sha256", "created_at", "created_by", "updated_at", "updated_by", "revision", "labels", "label_terms"}, r.Launches, r.launch},
		{"launch_reports", []string{"launch_id", "first_seen_at", "last_seen_at", "running_version", "system_version", "status", "status_reason", "status_since", "ready", "wanted"}, r.Reports, r.report},
		{"events", []string{"at", "actor", "action", "target_kind", "target_id", "target_name", "after", "address"}, r.Satellites + r.Launches, r.event},
	}
}

// at spreads rows over the last two years, not in the order of their names.
func (r *seeding) at(i int) time.Time {
	return r.Now.Add(-time.Duration(i*7919%17_520) * time.Hour).Add(-time.Duration(i%3600) * time.Second)
}

func (r *seeding) owner(i int) ([]any, error) {
	name := fmt.Sprintf("team%02d", i)
	return []any{r.owners[i], name, name, r.at(i)}, nil
}

func (r *seeding) algorithm(i int) ([]any, error) {
	name := fmt.Sprintf("Algorithm%04d", i)
	owner := i % seedOwners
	return []any{r.algorithms[i], r.owners[owner], name, fmt.Sprintf("team%02d/algorithm%04d", owner, i), r.at(i), seedActor}, nil
}

func (r *seeding) algorithmVersion(i int) ([]any, error) {
	hash := fmt.Sprintf("%040x", i+1)
	return []any{
		r.versions[i], r.algorithms[i/seedVersions], hash, fmt.Sprintf("1.%d.0", i%seedVersions), "ready", fmt.Sprintf("sha256:%064x", i+1),
		"application/vnd.oci.image.manifest.v1+json", int64(1000 + i), []string{"linux/amd64"}, constellation.Runtime{}.WithDefaults(), r.at(i), seedActor,
	}, nil
}

func (r *seeding) satelliteName(i int) string {
	return fmt.Sprintf("%s %s %06d", seedUses[i%len(seedUses)], seedCities[i/len(seedUses)%len(seedCities)], i)
}

// expiry is three years after a satellite was made; of some two, so that a few end soon.
func (r *seeding) expiry(i int) time.Time {
	if i%8 == 3 {
		return r.at(i).AddDate(2, 0, 7)
	}
	return r.at(i).AddDate(3, 0, 0)
}

func (r *seeding) satellite(i int) ([]any, error) {
	name, at, labels := r.satelliteName(i), r.at(i), r.satelliteLabels(i)
	count, up, degraded, stale := 0, 0, 0, 0
	for launch := i; launch < r.Launches; launch += r.Satellites {
		count++
		if launch >= r.Reports {
			continue
		}
		switch seedStatus(launch) {
		case constellation.LaunchUp:
			up++
		case constellation.LaunchDegraded:
			degraded++
		default:
			stale++
		}
	}
	return []any{r.satellites[i], name, constellation.Fold(name), r.expiry(i), at, seedActor, at, seedActor, int64(2), 2, count, up, degraded, stale, labels, labels.Terms()}, nil
}

// satelliteLabels are what the i-th satellite is chosen by: where it is and what for.
func (r *seeding) satelliteLabels(i int) constellation.Labels {
	return constellation.Labels{"region": seedRegions[i/len(seedUses)%len(seedCities)], "tier": seedTiers[(i*7+i/10)%len(seedTiers)], "use": strings.ToLower(seedUses[i%len(seedUses)])}
}

func (r *seeding) satelliteVersion(i int) ([]any, error) {
	return []any{r.satellites[i/2], i%2 + 1, r.at(i / 2), seedActor}, nil
}

func (r *seeding) satelliteAlgorithm(i int) ([]any, error) {
	satellite, number, position := i/4, i/2%2+1, i%2+1
	version := (satellite*31 + number*7 + position*13) % len(r.versions)
	return []any{r.satellites[satellite], number, position, fmt.Sprintf("foo/bar%d", position), r.versions[version], position}, nil
}

func (r *seeding) satelliteKey(i int) ([]any, error) {
	return []any{uuid.NewString(), r.satellites[i], "billing", "billing", "cst_seed", fmt.Sprintf("seed%060x", i), r.at(i), seedActor}, nil
}

func (r *seeding) launchName(i int) string {
	return fmt.Sprintf("%s-%d", seedCities[i%len(seedCities)], i/max(1, r.Satellites)+1)
}

func (r *seeding) launch(i int) ([]any, error) {
	satellite := r.satellites[i%r.Satellites]
	sealed, sha256, err := r.Token(r.launches[i], satellite)
	if err != nil {
		return nil, err
	}
	name, at := r.launchName(i), r.at(i)
	labels := constellation.Labels{"region": seedRegions[i%len(seedCities)], "tier": seedTiers[(i*7+i/10)%len(seedTiers)], "site": fmt.Sprintf("site-%d", i/1000)}
	return []any{
		r.launches[i], satellite, i%2 + 1, name, constellation.Fold(name), "The cluster in the basement", sealed, sha256, at, seedActor, at, seedActor, int64(1), labels, labels.Terms(),
	}, nil
}

// seedStatus is that of the i-th launch, of those that have reported.
func seedStatus(i int) constellation.LaunchStatus {
	switch i % 10 {
	case 0:
		return constellation.LaunchDegraded
	case 1, 2, 3, 4:
		return constellation.LaunchUp
	}
	return constellation.LaunchStale
}

func (r *seeding) report(i int) ([]any, error) {
	seen := r.Now.Add(-time.Duration(i%60) * time.Second)
	if seedStatus(i) == constellation.LaunchStale {
		seen = r.at(i)
	}
	running := i%2 + 1
	if i%25 == 7 { // behind
		running = 3 - running
	}
	return []any{r.launches[i], r.at(i), seen, running, "v1", string(seedStatus(i)), "all 3 replicas are ready", seen, 3, 3}, nil
}

func (r *seeding) event(i int) ([]any, error) {
	at := r.at(i)
	if i < r.Satellites {
		return []any{at, seedActor, "satellite.create", "satellite", r.satellites[i], r.satelliteName(i), []byte(`{}`), ""}, nil
	}
	i -= r.Satellites
	return []any{at, seedActor, "launch.create", "launch", r.launches[i], r.launchName(i), []byte(`{}`), ""}, nil
}
