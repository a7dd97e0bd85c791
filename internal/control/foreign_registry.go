package control

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var foreignRegistryListing = listing[constellation.ForeignRegistry]{
	name: "registries", fallback: "host",
	sorts: map[string]sortKey[constellation.ForeignRegistry]{
		"host":       byText(func(r *constellation.ForeignRegistry) string { return r.Host }),
		"created_at": byTime(func(r *constellation.ForeignRegistry) time.Time { return r.CreatedAt }),
	},
	id: byUUID(func(r *constellation.ForeignRegistry) string { return r.ID }),
}

// ListForeignRegistries returns a page of the registries elsewhere; admins only.
func (s *Service) ListForeignRegistries(ctx context.Context, p Principal, q ListQuery) (Page[constellation.ForeignRegistry], error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "listing registries"); err != nil {
		return Page[constellation.ForeignRegistry]{}, err
	}
	list, err := foreignRegistryListing.parse(q)
	if err != nil {
		return Page[constellation.ForeignRegistry]{}, err
	}
	rows, err := s.db.ForeignRegistries(ctx, list)
	return foreignRegistryListing.page(list, rows), err
}

// GetForeignRegistry returns a registry elsewhere; admins only.
func (s *Service) GetForeignRegistry(ctx context.Context, p Principal, id string) (*constellation.ForeignRegistry, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading a registry"); err != nil {
		return nil, err
	}
	id, err := parseID("registry", id)
	if err != nil {
		return nil, err
	}
	return s.db.ForeignRegistry(ctx, id)
}

// RegistryChange is how a registry elsewhere is reached; what is nil stays.
type RegistryChange struct {
	PlainHTTP *bool
	CA        *string
	Username  *string
	Password  *string // never read again, but by imports
}

// registryPlace is where a registry's password is sealed for. With another scheme, host
// or port it does not open.
func registryPlace(id string) string { return "foreign_registries/" + id }

// CreateForeignRegistry adds a registry elsewhere, and how it is reached.
func (s *Service) CreateForeignRegistry(ctx context.Context, p Principal, host string, c RegistryChange) (*constellation.ForeignRegistry, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "adding a registry"); err != nil {
		return nil, err
	}
	now := s.now()
	r := &constellation.ForeignRegistry{ID: uuid.NewString(), CreatedAt: now, CreatedBy: p.Username}
	var v constellation.Validation
	var err error
	if r.Host, err = constellation.ParseRegistryHost(host); err != nil {
		v.Add("host", "%s", messageOf(err))
	}
	if err := s.changeRegistry(&v, p, r, c); err != nil {
		return nil, err
	}
	return r, s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, "foreign_registry/"+r.Host); err != nil {
			return err
		}
		if there, err := s.db.ForeignRegistryAt(ctx, r.Host); err != nil {
			return err
		} else if there != nil {
			return constellation.Errorf(constellation.KindConflict, "the registry %s is there already; change that one", r.Host)
		}
		if err := s.db.InsertForeignRegistry(ctx, r); err != nil {
			return err
		}
		return s.audit(ctx, p, "registry.create", foreignTarget(r), nil, viewRegistry(r, false))
	})
}

// changeRegistry changes r, which is checked with v.
func (s *Service) changeRegistry(v *constellation.Validation, p Principal, r *constellation.ForeignRegistry, c RegistryChange) error {
	before := *r
	apply(&r.PlainHTTP, c.PlainHTTP)
	apply(&r.CA, c.CA)
	apply(&r.Username, c.Username)
	password := ""
	apply(&password, c.Password)
	if r.Username == "" || c.Password != nil && password == "" {
		r.Sealed = nil
	}
	if password == "" && r.HasPassword() && (before.PlainHTTP != r.PlainHTTP || before.Username != r.Username) {
		v.Add("password", "give the password again: it was given for another user name, or for another way to reach %s", r.Host)
	}
	constellation.CheckForeignRegistry(v, r, password)
	if err := v.Err(); err != nil {
		return err
	}
	if password != "" {
		if s.options.Sealer == nil {
			return constellation.Errorf(constellation.KindUnavailable, "the secret key is not at hand here")
		}
		r.Sealed = s.options.Sealer.Seal(registryPlace(r.ID), []byte(password))
	}
	r.UpdatedAt, r.UpdatedBy = s.now(), p.Username
	return nil
}

func apply[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// UpdateForeignRegistry changes how a registry elsewhere is reached.
func (s *Service) UpdateForeignRegistry(ctx context.Context, p Principal, id string, c RegistryChange) (r *constellation.ForeignRegistry, err error) {
	err = s.transact(ctx, func(s *Service) error {
		if r, err = s.GetForeignRegistry(ctx, p, id); err != nil {
			return err
		}
		if err := s.db.Lock(ctx, "foreign_registry/"+r.Host); err != nil {
			return err
		}
		if r, err = s.db.ForeignRegistry(ctx, r.ID); err != nil {
			return err
		}
		before := viewRegistry(r, false)
		var v constellation.Validation
		if err := s.changeRegistry(&v, p, r, c); err != nil {
			return err
		}
		if err := s.db.UpdateForeignRegistry(ctx, r); err != nil {
			return err
		}
		return s.audit(ctx, p, "registry.update", foreignTarget(r), before, viewRegistry(r, c.Password != nil))
	})
	return r, err
}

// DeleteForeignRegistry removes a registry elsewhere, with its login. What was imported
// stays; what is being imported goes on without.
func (s *Service) DeleteForeignRegistry(ctx context.Context, p Principal, id string) error {
	return s.transact(ctx, func(s *Service) error {
		r, err := s.GetForeignRegistry(ctx, p, id)
		if err != nil {
			return err
		}
		if err := s.db.DeleteForeignRegistry(ctx, r.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, "registry.delete", foreignTarget(r), viewRegistry(r, false), nil)
	})
}

func foreignTarget(r *constellation.ForeignRegistry) target {
	return target{"foreign_registry", r.ID, r.Host}
}

// registryView has no password, and says whether one was given.
type registryView struct {
	Host            string `json:"host"`
	PlainHTTP       bool   `json:"plain_http,omitempty"`
	CA              bool   `json:"ca,omitempty"`
	Username        string `json:"username,omitempty"`
	HasPassword     bool   `json:"has_password"`
	PasswordChanged bool   `json:"password_changed,omitempty"`
}

func viewRegistry(r *constellation.ForeignRegistry, changed bool) registryView {
	return registryView{r.Host, r.PlainHTTP, r.CA != "", r.Username, r.HasPassword(), changed}
}

// RegistryLogin returns how a host's images are reached: as an admin has said, or by
// HTTPS and without a login, and notes that it is used. It is for imports, and nobody
// else sees it.
func (s *Service) RegistryLogin(ctx context.Context, host string) (*constellation.ForeignRegistry, string, error) {
	r, err := s.db.ForeignRegistryAt(ctx, host)
	if err != nil {
		return nil, "", err
	}
	if r == nil {
		return &constellation.ForeignRegistry{Host: host}, "", nil
	}
	if now := s.now(); r.LastUsedAt == nil || now.Sub(*r.LastUsedAt) >= time.Minute {
		if err := s.db.UseForeignRegistry(ctx, r.ID, now); err != nil {
			return nil, "", err
		}
	}
	if !r.HasPassword() {
		return r, "", nil
	}
	password, err := s.options.Sealer.Open(registryPlace(r.ID), r.Sealed)
	if err != nil {
		return nil, "", constellation.Wrap(err, constellation.KindInternal, "the password of the registry %s cannot be opened: give it again", host)
	}
	return r, string(password), nil
}
