package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var mirrorListing = listing[constellation.Mirror]{
	name: "mirrors", fallback: "source",
	sorts: map[string]sortKey[constellation.Mirror]{
		"source":     byText(func(m *constellation.Mirror) string { return m.Source }),
		"created_at": byTime(func(m *constellation.Mirror) time.Time { return m.CreatedAt }),
	},
	id: byUUID(func(m *constellation.Mirror) string { return m.ID }),
}

// ListMirrors returns a page of the rules by which tags elsewhere become versions: of
// one algorithm, OWNER/NAME, or of all with ""; admins only.
func (s *Service) ListMirrors(ctx context.Context, p Principal, algorithm string, q ListQuery) (Page[constellation.Mirror], error) {
	none := Page[constellation.Mirror]{}
	if err := p.mayEverywhere(constellation.RoleAdmin, "listing mirrors"); err != nil {
		return none, err
	}
	repository := ""
	if algorithm != "" {
		owner, name, _ := strings.Cut(algorithm, "/")
		if checkRepository(owner, name) != nil {
			var v constellation.Validation
			v.Add("algorithm", "algorithm is OWNER/NAME; not %q", clean(algorithm, 128))
			return none, v.Err()
		}
		repository = constellation.AlgorithmRef{Owner: owner, Name: name}.Repository()
	}
	list, err := mirrorListing.parse(q, "algorithm="+repository)
	if err != nil {
		return none, err
	}
	rows, err := s.db.Mirrors(ctx, repository, list)
	return mirrorListing.page(list, rows), err
}

// GetMirror returns a mirror; admins only.
func (s *Service) GetMirror(ctx context.Context, p Principal, id string) (*constellation.Mirror, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading a mirror"); err != nil {
		return nil, err
	}
	id, err := parseID("mirror", id)
	if err != nil {
		return nil, err
	}
	return s.db.Mirror(ctx, id)
}

// MirrorTagsShown is how many tags MirrorTags returns at most.
const MirrorTagsShown = 500

// MirrorTags returns the tags of a mirror that match, what became of each, the newest
// first, up to MirrorTagsShown; admins only.
func (s *Service) MirrorTags(ctx context.Context, p Principal, id string) ([]constellation.MirrorTag, error) {
	m, err := s.GetMirror(ctx, p, id)
	if err != nil {
		return nil, err
	}
	return s.db.MirrorTags(ctx, m.ID, MirrorTagsShown)
}

// MirrorChange is what a mirror is made of; what is nil stays, or is the default of a
// new one.
type MirrorChange struct {
	Tags            *[]string
	Keep            *int
	IntervalSeconds *int
	Disabled        *bool
}

func (c MirrorChange) apply(m *constellation.Mirror) {
	if c.Tags != nil {
		m.Tags = nil
		for _, p := range *c.Tags {
			if p = strings.TrimSpace(p); !slices.Contains(m.Tags, p) {
				m.Tags = append(m.Tags, p)
			}
		}
	}
	apply(&m.Keep, c.Keep)
	apply(&m.IntervalSeconds, c.IntervalSeconds)
	apply(&m.Disabled, c.Disabled)
}

// CreateMirror adds a rule by which tags of a repository elsewhere, REGISTRY/REPOSITORY,
// become versions of an algorithm, which is made if it is new. Its first poll begins at
// once.
func (s *Service) CreateMirror(ctx context.Context, p Principal, algorithm, source string, c MirrorChange) (m *constellation.Mirror, err error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "adding a mirror"); err != nil {
		return nil, err
	}
	now := s.now()
	m = &constellation.Mirror{
		ID: uuid.NewString(), Keep: constellation.DefaultMirrorTags, IntervalSeconds: constellation.DefaultMirrorInterval, NextAt: now,
		CreatedAt: now, CreatedBy: p.Username, UpdatedAt: now, UpdatedBy: p.Username,
	}
	c.apply(m)
	var v constellation.Validation
	owner, name, _ := strings.Cut(strings.TrimSpace(algorithm), "/")
	constellation.CheckOwnerName(&v, "algorithm", owner, "algorithm", name)
	from, err := constellation.ParseRepositoryName(source)
	if err != nil {
		v.Add("source", "%s", messageOf(err))
	}
	m.Source = from.String()
	constellation.CheckMirror(&v, m)
	if err := v.Err(); err != nil {
		return nil, err
	}
	return m, s.transact(ctx, func(s *Service) error {
		n, err := s.db.CountMirrors(ctx)
		if err != nil {
			return err
		}
		if n >= constellation.MaxMirrors {
			return constellation.Errorf(constellation.KindConflict, "there are %d mirrors, and no more are kept; remove one that nobody needs", n)
		}
		a, err := s.db.EnsureAlgorithm(ctx, owner, name, p.Username, now)
		if err != nil {
			return err
		}
		m.Owner, m.Name = a.Owner, a.Name
		if there, err := s.db.MirrorOf(ctx, a.ID, m.Source); err != nil {
			return err
		} else if there != "" {
			return constellation.Errorf(constellation.KindConflict, "%s has a mirror of %s already; change that one, which takes more patterns", m.Algorithm(), m.Source)
		}
		if err := s.db.InsertMirror(ctx, a.ID, m); err != nil {
			return err
		}
		if err := s.audit(ctx, p, "mirror.create", mirrorTarget(m), nil, viewMirror(m)); err != nil {
			return err
		}
		return s.beginPolls(ctx)
	})
}

// UpdateMirror changes a mirror. It is polled soon, unless it is turned off.
func (s *Service) UpdateMirror(ctx context.Context, p Principal, id string, c MirrorChange) (m *constellation.Mirror, err error) {
	err = s.changeMirror(ctx, p, id, func(s *Service, before *constellation.Mirror) error {
		m = before
		view := viewMirror(m)
		c.apply(m)
		var v constellation.Validation
		constellation.CheckMirror(&v, m)
		if err := v.Err(); err != nil {
			return err
		}
		m.NextAt, m.UpdatedAt, m.UpdatedBy = s.now(), s.now(), p.Username
		if err := s.db.UpdateMirror(ctx, m); err != nil {
			return err
		}
		if err := s.audit(ctx, p, "mirror.update", mirrorTarget(m), view, viewMirror(m)); err != nil {
			return err
		}
		return s.beginPolls(ctx)
	})
	return m, err
}

// DeleteMirror removes a mirror. Versions that it made stay, and those that are being
// imported become ready.
func (s *Service) DeleteMirror(ctx context.Context, p Principal, id string) error {
	return s.changeMirror(ctx, p, id, func(s *Service, m *constellation.Mirror) error {
		if err := s.db.DeleteMirror(ctx, m.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, "mirror.delete", mirrorTarget(m), viewMirror(m), nil)
	})
}

// changeMirror runs change with a mirror whose row is held.
func (s *Service) changeMirror(ctx context.Context, p Principal, id string, change func(*Service, *constellation.Mirror) error) error {
	return s.transact(ctx, func(s *Service) error {
		m, err := s.GetMirror(ctx, p, id)
		if err != nil {
			return err
		}
		if m, err = s.db.HoldMirror(ctx, m.ID); err != nil {
			return err
		}
		return change(s, m)
	})
}

func mirrorTarget(m *constellation.Mirror) target {
	return target{"mirror", m.ID, m.Algorithm() + " from " + m.Source}
}

type mirrorView struct {
	Algorithm       string   `json:"algorithm"`
	Source          string   `json:"source"`
	Tags            []string `json:"tags"`
	Keep            int      `json:"keep"`
	IntervalSeconds int      `json:"interval_seconds"`
	Disabled        bool     `json:"disabled,omitempty"`
}

func viewMirror(m *constellation.Mirror) mirrorView {
	return mirrorView{m.Algorithm(), m.Source, m.Tags, m.Keep, m.IntervalSeconds, m.Disabled}
}
