package control

import (
	"context"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// CorrectRuntime corrects the runtime settings of an algorithm version: a new
// revision of them, which satellites' versions have that are made from then on.
// With ifMatch another revision than that is KindPreconditionFailed.
func (s *Service) CorrectRuntime(ctx context.Context, p Principal, ref constellation.AlgorithmRef, ifMatch *int64, change constellation.RuntimeChange) (v *constellation.AlgorithmVersion, err error) {
	err = s.editVersion(ctx, p, ref, ifMatch, "correcting an algorithm version", func(s *Service, before *constellation.AlgorithmVersion) error {
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

// DeleteAlgorithmVersion removes a version that no version of a satellite has; its
// image stays in the registry's storage. The hash is free then.
func (s *Service) DeleteAlgorithmVersion(ctx context.Context, p Principal, ref constellation.AlgorithmRef, ifMatch *int64) error {
	return s.editVersion(ctx, p, ref, ifMatch, "removing an algorithm version", func(s *Service, v *constellation.AlgorithmVersion) error {
		users, err := s.db.VersionUsers(ctx, v.ID, usersTold+1)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			more := ""
			if len(users) > usersTold {
				users, more = users[:usersTold], " and others"
			}
			return constellation.Errorf(constellation.KindConflict, "%s is in versions of satellites: %s%s; a version of a satellite never changes, so this one can be removed once those satellites are",
				v.Ref(), strings.Join(users, ", "), more)
		}
		if err := s.db.DeleteAlgorithmVersion(ctx, v.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, "algorithm_version.delete", target{"algorithm_version", v.ID, v.Ref().String()}, viewVersion(v), nil)
	})
}

// editVersion authorises, and edits an algorithm version under its lock.
func (s *Service) editVersion(ctx context.Context, p Principal, ref constellation.AlgorithmRef, ifMatch *int64, doing string, edit func(*Service, *constellation.AlgorithmVersion) error) error {
	if err := p.mayEverywhere(constellation.RoleAdmin, doing); err != nil {
		return err
	}
	return s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, "algorithm_version/"+ref.Repository()+":"+ref.Hash); err != nil {
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
