package constellation

import (
	"crypto/x509"
	"strings"
	"time"
)

// ImportPhase is what an import under way does.
type ImportPhase string

// The phases of an import.
const (
	ImportWaits    ImportPhase = "waiting"   // for a server, or for its next attempt
	ImportLooks    ImportPhase = "looking"   // reads the manifests
	ImportCopies   ImportPhase = "copying"   // layers
	ImportFinishes ImportPhase = "finishing" // stores the manifests
	ImportEnded    ImportPhase = "ended"
)

// Import is how an algorithm version comes, or came, from a registry elsewhere.
type Import struct {
	VersionID  string
	Repository string    // here
	Image      ImageName // elsewhere, as it was asked for
	Digest     string    // what the image's tag was resolved to, once; "" not yet
	Runtime    RuntimeChange
	State      VersionState
	Phase      ImportPhase
	Bytes      int64 // of all that the image needs; 0 until that is known
	BytesDone  int64 // of those, what is here
	Rate       int64 // bytes in a second, of late
	Attempts   int   // one after the other that brought nothing
	NextAt     *time.Time
	Error      string // of the last attempt, in a sentence

	RequestedBy string
	RequestedAt time.Time
	StartedAt   *time.Time
	EndedAt     *time.Time
	Mirror      string        // what the mirror that asked for it is of, "" for none
	Failure     ImportFailure // what sort ended it, "" for none
	Generation  int           // one more each time that it is asked for
}

// Left is how many bytes are still to come.
func (i *Import) Left() int64 { return max(0, i.Bytes-i.BytesDone) }

// ImportPart is a manifest or blob that an import needs.
type ImportPart struct {
	Digest    string
	Size      int64
	Manifest  bool
	MediaType string // of a manifest
	Body      []byte // of a manifest
	Tag       string // of a manifest that is stored under one
	Position  int    // in which order manifests are stored; the image's own is last
	Upload    string // of a blob, where it is written to
	Done      bool
}

// ForeignRegistry is a registry elsewhere, and how it is reached.
type ForeignRegistry struct {
	ID        string // UUID
	Host      string // host[:port], as ParseRegistryHost returns it
	PlainHTTP bool   // rather than HTTPS
	CA        string // certificates in PEM that are trusted besides the system's
	Username  string // "" for no login
	Sealed    []byte // the password
	CreatedAt time.Time
	CreatedBy string
	UpdatedAt time.Time
	UpdatedBy string
	// LastUsedAt is when an import, a mirror or a test last asked there, to the minute;
	// nil is never.
	LastUsedAt *time.Time
}

// HasPassword reports whether a password is kept for the registry.
func (r *ForeignRegistry) HasPassword() bool { return len(r.Sealed) > 0 }

// Bounds of a registry's credentials.
const (
	maxLoginName = 500
	maxPassword  = 16 << 10 // some clouds' passwords are tokens
)

// CheckForeignRegistry adds to v what is wrong with a registry, but for its host.
func CheckForeignRegistry(v *Validation, r *ForeignRegistry, password string) {
	if len(r.Username) > maxLoginName || strings.ContainsFunc(r.Username, IsInvisible) {
		v.Add("username", "a user name has at most %d bytes, and no control characters", maxLoginName)
	}
	if len(password) > maxPassword || strings.ContainsFunc(password, IsInvisible) {
		v.Add("password", "a password or token has at most %d bytes, and no control characters", maxPassword)
	}
	if r.Username == "" && password != "" {
		v.Add("username", "a password goes with a user name; registries that take a token alone say which name goes with it")
	}
	if r.Username != "" && password == "" && !r.HasPassword() {
		v.Add("password", "the password or token of %s is missing", r.Username)
	}
	if len(r.CA) > maxRuleCA {
		v.Add("ca", "the certificates have at most %d bytes", maxRuleCA)
	}
	if r.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(r.CA)) {
		v.Add("ca", "the certificates are no PEM: give the text that begins with -----BEGIN CERTIFICATE-----")
	}
	if r.CA != "" && r.PlainHTTP {
		v.Add("ca", "certificates are of no use with plain HTTP")
	}
}
