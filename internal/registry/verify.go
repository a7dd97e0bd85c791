package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/storage"
)

// What can be wrong with a blob or manifest.
const (
	FaultLost    = "lost" // by the database it is there
	FaultDamaged = "damaged"
)

// BlobFault is a blob or manifest that cannot be served as it was pushed, and
// what needs it.
type BlobFault struct {
	Digest       string
	Fault        string
	Repositories []string // that have it, by the database
	Versions     []string // OWNER/NAME/HASH
	Launches     []Launched
}

// Launched is a launch that cannot be brought up whole.
type Launched struct{ SatelliteID, SatelliteName, LaunchID, LaunchName string }

// Verified counts what was looked at.
type Verified struct {
	Blobs, Bytes, Versions int64
	Faults                 []BlobFault
}

// Verifier compares the registry's content with its digests and with the
// database, whether a server runs or not.
type Verifier struct {
	service *control.Service
	storage *Storage
	report  func(Verified)

	done   Verified
	good   map[string]bool
	faults map[string]*BlobFault
}

// Verify reads every blob, follows every algorithm version's image from its digest in
// the database to its last layer, and looks for all else that repositories have by the
// database. report is called as it goes.
func Verify(ctx context.Context, service *control.Service, s *Storage, report func(Verified)) (*Verified, error) {
	v := &Verifier{service: service, storage: s, report: report, good: map[string]bool{}, faults: map[string]*BlobFault{}}
	if err := service.CheckStoreOwner(ctx); err != nil { // lest all be taken for lost
		return nil, err
	}
	err := storage.Rehash(ctx, s.driver, func(digest string, _ int64, good bool) {
		v.done.Blobs++
		v.good[digest] = good
		if !good {
			v.faults[digest] = &BlobFault{Digest: digest, Fault: FaultDamaged}
		}
		report(v.done)
	}, func(n int) {
		v.done.Bytes += int64(n)
		report(v.done)
	})
	if err != nil {
		return nil, storage.Explain(s.config.Location, "read from", err)
	}
	if err := v.versions(ctx); err != nil {
		return nil, err
	}
	err = service.EachLost(ctx, func(digest string) bool { _, there := v.good[digest]; return there }, func(lost constellation.LostContent) {
		if v.faults[lost.Digest] == nil {
			v.faults[lost.Digest] = &BlobFault{Digest: lost.Digest, Fault: FaultLost}
		}
	})
	if err != nil {
		return nil, storage.Explain(s.config.Location, "read from", err)
	}
	for _, fault := range v.faults {
		if fault.Repositories, err = service.BlobRepositories(ctx, fault.Digest); err != nil {
			return nil, err
		}
		if err := v.launches(ctx, fault); err != nil {
			return nil, err
		}
		v.done.Faults = append(v.done.Faults, *fault)
	}
	slices.SortFunc(v.done.Faults, func(a, b BlobFault) int { return strings.Compare(a.Digest, b.Digest) })
	return &v.done, nil
}

// versions looks at every version that there is.
func (v *Verifier) versions(ctx context.Context) error {
	algorithms, err := control.ReadAll(func(q control.ListQuery) (control.Page[constellation.Algorithm], error) {
		return v.service.ListAlgorithms(ctx, control.Shell(), q)
	})
	if err != nil {
		return err
	}
	for _, algorithm := range algorithms {
		versions, err := control.ReadAll(func(q control.ListQuery) (control.Page[constellation.AlgorithmVersion], error) {
			return v.service.ListAlgorithmVersions(ctx, control.Shell(), algorithm.Owner, algorithm.Name, q)
		})
		if constellation.KindOf(err) == constellation.KindNotFound {
			continue // it was removed meanwhile
		}
		if err != nil {
			return err
		}
		for i := range versions {
			if err := v.version(ctx, &versions[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// version follows an image. A version that was removed meanwhile has no faults.
func (v *Verifier) version(ctx context.Context, version *constellation.AlgorithmVersion) error {
	if version.Image.Digest == "" { // it is being imported
		return nil
	}
	v.done.Versions++
	found := map[string]string{}
	if err := v.follow(ctx, version.Image.Repository, version.Image.Digest, found, 0); err != nil {
		return err
	}
	if len(found) == 0 {
		return nil
	}
	ref := constellation.AlgorithmRef{Owner: version.Owner, Name: version.Name, Hash: version.GitHash}
	if _, err := v.service.GetAlgorithmVersion(ctx, control.Shell(), ref); constellation.KindOf(err) == constellation.KindNotFound {
		return nil
	} else if err != nil {
		return err
	}
	for digest, what := range found {
		fault := v.faults[digest]
		if fault == nil {
			fault = &BlobFault{Digest: digest, Fault: what}
			v.faults[digest] = fault
		}
		fault.Versions = append(fault.Versions, ref.String())
	}
	return nil
}

// follow notes what is wrong with a manifest and what it names.
func (v *Verifier) follow(ctx context.Context, repository, digest string, found map[string]string, depth int) error {
	if good, seen := v.good[digest]; seen && !good {
		found[digest] = FaultDamaged
		return nil
	}
	m, err := v.storage.StoredManifest(ctx, repository, digest)
	if constellation.KindOf(err) == constellation.KindNotFound {
		found[digest] = FaultLost
		return nil
	}
	if err != nil {
		return fmt.Errorf("verify %s@%s: %w", repository, digest, err)
	}
	for _, part := range m.Parts {
		if good, seen := v.good[part]; seen && !good {
			found[part] = FaultDamaged
			continue
		}
		if _, err := v.storage.StoredBlob(ctx, repository, part); constellation.KindOf(err) == constellation.KindNotFound {
			found[part] = FaultLost
			continue
		} else if err != nil {
			return storage.Explain(v.storage.config.Location, "read from", err)
		}
		if v.isManifest(ctx, repository, part) && depth < maxIndexDepth {
			if err := v.follow(ctx, repository, part, found, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// isManifest reports whether a part of a manifest is one itself.
func (v *Verifier) isManifest(ctx context.Context, repository, digest string) bool {
	_, err := v.storage.driver.Stat(ctx, revisionDir(repository, digest)+"/link")
	return err == nil
}

// launches names the launches whose satellite version has a version that a fault
// is of.
func (v *Verifier) launches(ctx context.Context, fault *BlobFault) error {
	slices.Sort(fault.Versions)
	for _, text := range fault.Versions {
		ref, err := constellation.ParseAlgorithmRef(text)
		if err != nil {
			return err
		}
		users, err := v.service.VersionUsers(ctx, control.Shell(), ref)
		if err != nil {
			return err
		}
		for _, user := range users {
			launches, err := control.ReadAll(func(q control.ListQuery) (control.Page[constellation.Launch], error) {
				return v.service.ListLaunches(ctx, control.Shell(), user.SatelliteID, q)
			})
			if err != nil {
				return err
			}
			for i := range launches {
				has, err := v.has(ctx, &launches[i], ref)
				if err != nil {
					return err
				}
				one := Launched{user.SatelliteID, user.SatelliteName, launches[i].ID, launches[i].Name}
				if has && !slices.Contains(fault.Launches, one) {
					fault.Launches = append(fault.Launches, one)
				}
			}
		}
	}
	return nil
}

func (v *Verifier) has(ctx context.Context, launch *constellation.Launch, ref constellation.AlgorithmRef) (bool, error) {
	version, err := v.service.GetSatelliteVersion(ctx, control.Shell(), launch.SatelliteID, launch.SatelliteVersion)
	if err != nil {
		return false, err
	}
	for _, a := range version.Algorithms {
		if strings.EqualFold(a.Algorithm.String(), ref.String()) {
			return true, nil
		}
		for _, w := range a.Weights {
			if strings.EqualFold(w.Artifact.String(), ref.String()) {
				return true, nil
			}
		}
	}
	return false, nil
}
