package control

import (
	"cmp"
	"context"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/space"
)

// CorrectRuntime corrects the runtime settings of an algorithm version: a new
// revision of them, which satellites' versions have that are made from then on.
// With ifMatch another revision than that is KindPreconditionFailed.
func (s *Service) CorrectRuntime(ctx context.Context, p Principal, ref constellation.AlgorithmRef, ifMatch *int64, change constellation.RuntimeChange) (v *constellation.AlgorithmVersion, err error) {
	err = s.editVersion(ctx, p, ref, ifMatch, "correcting an algorithm version", func(s *Service, before *constellation.AlgorithmVersion) error {
		if before.State != constellation.VersionReady {
			return constellation.Errorf(constellation.KindInvalid, "%s is %s: its settings can be corrected once it is ready; an import takes settings when it is asked for", before.Ref(), before.State)
		}
		if before.Weights != nil {
			return constellation.Errorf(constellation.KindInvalid, "%s holds weights, which do not run: there are no settings to correct", before.Ref())
		}
		after := *before
		after.Runtime = change.Apply(before.Runtime).WithDefaults()
		var problems constellation.Validation
		after.Runtime.Check(&problems, "runtime")
		if err := problems.Err(); err != nil {
			return err
		}
		if v = &after; after.Runtime == before.Runtime {
			return nil
		}
		now := s.now()
		after.RuntimeRevision, after.CorrectedAt, after.CorrectedBy = before.RuntimeRevision+1, &now, p.Username
		if err := s.db.CorrectRuntime(ctx, &after, before); err != nil {
			return err
		}
		return s.audit(ctx, p, "algorithm_version.update", target{"algorithm_version", v.ID, v.Ref().String()}, viewVersion(before), viewVersion(v))
	})
	return v, err
}

// usersTold is how many satellites a refusal names.
const usersTold = 3

// DeleteAlgorithmVersion removes a version that no version of a satellite has. The
// hash is free then, and a garbage collection removes the image after its grace.
func (s *Service) DeleteAlgorithmVersion(ctx context.Context, p Principal, ref constellation.AlgorithmRef, ifMatch *int64) error {
	return s.editVersion(ctx, p, ref, ifMatch, "removing an algorithm version", func(s *Service, v *constellation.AlgorithmVersion) error {
		users, err := s.db.VersionUsers(ctx, v.ID, usersTold+1)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return refuseRemoval(v, users)
		}
		if err := s.db.TouchManifest(ctx, v.Image.Repository, v.Image.Digest, nil, 0); err != nil {
			return err
		}
		if err := s.db.DeleteAlgorithmVersion(ctx, v.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, "algorithm_version.delete", target{"algorithm_version", v.ID, v.Ref().String()}, viewVersion(v), nil)
	})
}

// refuseRemoval returns why a version is not removed that satellites use.
func refuseRemoval(v *constellation.AlgorithmVersion, users []constellation.VersionUser) error {
	more := ""
	if len(users) > usersTold {
		users, more = users[:usersTold], " and others"
	}
	names := make([]string, len(users))
	for i, user := range users {
		names[i] = user.SatelliteName
	}
	return constellation.Errorf(constellation.KindConflict, "%s is in versions of satellites: %s%s; a version of a satellite never changes, so this one can be removed once those satellites are",
		v.Ref(), strings.Join(names, ", "), more)
}

// MaxVersionUsers is how many satellites VersionUsers returns at most.
const MaxVersionUsers = 50

// VersionUsers returns up to MaxVersionUsers satellites of which any version has an
// algorithm version, by name: while there is one, it is not removed.
func (s *Service) VersionUsers(ctx context.Context, p Principal, ref constellation.AlgorithmRef) ([]constellation.VersionUser, error) {
	v, err := s.GetAlgorithmVersion(ctx, p, ref)
	if err != nil {
		return nil, err
	}
	return s.db.VersionUsers(ctx, v.ID, MaxVersionUsers)
}

// MaxRuntimeRevisions is how many revisions RuntimeRevisions returns at most.
const MaxRuntimeRevisions = 20

// RuntimeRevisions returns up to MaxRuntimeRevisions of the runtime settings that
// an algorithm version had and has, the newest first.
func (s *Service) RuntimeRevisions(ctx context.Context, p Principal, ref constellation.AlgorithmRef) ([]constellation.RuntimeRevision, error) {
	v, err := s.GetAlgorithmVersion(ctx, p, ref)
	if err != nil {
		return nil, err
	}
	revisions, err := s.db.RuntimeRevisions(ctx, v.ID, MaxRuntimeRevisions)
	if len(revisions) == 0 && err == nil { // it was never corrected
		revisions = []constellation.RuntimeRevision{{Revision: v.RuntimeRevision, Runtime: v.Runtime}}
	}
	return revisions, err
}

// RuntimeChange is the difference of an algorithm's runtime settings between two
// revisions of them.
type RuntimeChange struct {
	From, To int
	Taken    bool // To is the one that it is to have, and From that it had; else From is, and To the newest
	Changes  []constellation.SettingChange
}

// CompareRuntimes returns, in the order of algorithms, how the runtime settings that
// each has differ from those that had has at its vanity URL, when it is the same
// version; where they are the same, how the newest ones differ. It is zero for those
// that have the newest, and had them.
func (s *Service) CompareRuntimes(ctx context.Context, p Principal, had, algorithms []constellation.SatelliteAlgorithm) ([]RuntimeChange, error) {
	newest, err := s.SatelliteImages(ctx, p, algorithms)
	if err != nil {
		return nil, err
	}
	before := make(map[string]constellation.SatelliteAlgorithm, len(had))
	for _, a := range had {
		before[a.VanityURL] = a
	}
	changes := make([]RuntimeChange, len(algorithms))
	var ids []string
	var revisions, of []int // two revisions each of those that differ
	for i, a := range algorithms {
		if newest[i] == nil {
			continue
		}
		c := RuntimeChange{From: cmp.Or(a.RuntimeRevision, newest[i].RuntimeRevision), To: newest[i].RuntimeRevision}
		if was := before[a.VanityURL]; was.Algorithm == a.Algorithm && was.RuntimeRevision != 0 && was.RuntimeRevision != c.From {
			c = RuntimeChange{From: was.RuntimeRevision, To: c.From, Taken: true}
		}
		if c.From != c.To {
			changes[i] = c
			ids, revisions, of = append(ids, newest[i].ID, newest[i].ID), append(revisions, c.From, c.To), append(of, i)
		}
	}
	if len(ids) == 0 {
		return changes, nil
	}
	runtimes, err := s.db.Runtimes(ctx, ids, revisions)
	if err != nil {
		return nil, err
	}
	for n, i := range of {
		changes[i].Changes = constellation.DiffRuntimes(runtimes[2*n], runtimes[2*n+1])
	}
	return changes, nil
}

// editVersion authorises, and edits an algorithm version under its lock.
func (s *Service) editVersion(ctx context.Context, p Principal, ref constellation.AlgorithmRef, ifMatch *int64, doing string, edit func(*Service, *constellation.AlgorithmVersion) error) error {
	if err := p.mayEverywhere(constellation.RoleAdmin, doing); err != nil {
		return err
	}
	return s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, space.TagLock(ref.Repository(), ref.Hash)); err != nil {
			return err
		}
		v, err := s.GetAlgorithmVersion(ctx, p, ref)
		if err != nil {
			return err
		}
		by, at := v.CreatedBy, v.CreatedAt
		if v.CorrectedAt != nil {
			by, at = v.CorrectedBy, *v.CorrectedAt
		}
		if err := checkRevision("version "+v.Ref().String(), ifMatch, int64(v.RuntimeRevision), by, at); err != nil {
			return err
		}
		return edit(s, v)
	})
}
