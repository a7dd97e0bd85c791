package constellation

import (
	"regexp"
	"time"
)

// Role is what an account or an API key may do.
type Role string

// The roles, from most to least.
const (
	RoleAdmin    Role = "admin"    // everything
	RoleOperator Role = "operator" // reads, launches, bundles
	RoleViewer   Role = "viewer"   // reads
)

// Rank orders roles: viewer 1, operator 2, admin 3, anything else 0.
func (r Role) Rank() int {
	switch r {
	case RoleAdmin:
		return 3
	case RoleOperator:
		return 2
	case RoleViewer:
		return 1
	}
	return 0
}

// Valid reports whether r is one of the three roles.
func (r Role) Valid() bool { return r.Rank() > 0 }

// AccountKind is what sort of holder an account has.
type AccountKind string

// The kinds of accounts.
const (
	KindPerson  AccountKind = "person"
	KindService AccountKind = "service" // has API keys, and never signs in
)

// Account is a person, who may sign in, or a service; both hold API keys.
type Account struct {
	ID            string // UUID
	Username      string
	Kind          AccountKind
	Role          Role
	HasPassword   bool
	Provider      string     // by which the person signs in, who then has no password; "" is none
	SignOnEndedAt *time.Time // since when the provider does not vouch for the person; nil when it does
	Disabled      bool
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// APIKey is a key's record; the key itself is shown once and never stored.
type APIKey struct {
	ID          string // UUID
	Username    string
	Name        string
	Prefix      string // "cst_" and the first characters, enough to recognise it
	Role        Role
	SatelliteID string // "" is every satellite
	Scope       KeyScope
	CreatedAt   time.Time
	ExpiresAt   time.Time
	LastUsedAt  *time.Time
	RevokedAt   *time.Time
}

// DefaultKeyLifetime is how long a key lives when its maker names no expiry.
const DefaultKeyLifetime = 365 * 24 * time.Hour

var usernamePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

// Actors of the audit log that are no account, so no account may be called
// after them.
const (
	ActorShell  = "shell"  // administration from a shell
	ActorSystem = "system" // the mothership itself
)

// CheckUsername adds an error to v when name is no username: 1–63 letters, digits, _ . -
// starting with a letter or digit (so that it also fits HTTP Basic).
func CheckUsername(v *Validation, field, name string) {
	if !usernamePattern.MatchString(name) {
		v.Add(field, "a username has 1 to 63 letters, digits, '_', '.' or '-', and starts with a letter or digit")
	} else if folded := Fold(name); folded == ActorShell || folded == ActorSystem {
		v.Add(field, "the username %q is reserved; choose another", name)
	}
}

// CheckPassword adds an error to v when a password is too short or too long to hash.
func CheckPassword(v *Validation, field, password string) {
	if n := len(password); n < 12 || n > 256 {
		v.Add(field, "a password has 12 to 256 characters")
	}
}

// CheckRole adds an error to v when role is none of the three.
func CheckRole(v *Validation, field string, role Role) {
	if !role.Valid() {
		v.Add(field, "a role is one of admin, operator, viewer")
	}
}
