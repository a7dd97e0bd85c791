package constellation

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Algorithm is a named algorithm of an owner. Owner and Name keep their case
// and are unique ignoring case.
type Algorithm struct {
	ID            string
	Owner         string
	Name          string
	CreatedAt     time.Time
	LatestVersion *AlgorithmVersion
	VersionCount  int
}

// AlgorithmVersion is one immutable image of an algorithm.
type AlgorithmVersion struct {
	ID              string
	Owner           string
	Name            string
	GitHash         string // 40 or 64 lower-case hex digits; see IsGitHash
	SemanticVersion string // "" when the maker gave none
	State           VersionState
	Image           Image
	Runtime         Runtime
	Weights         *Weights   // nil: it is code
	RuntimeRevision int        // of Runtime: 1, and one more with each correction
	CorrectedAt     *time.Time // nil: never
	CorrectedBy     string
	CreatedAt       time.Time
	CreatedBy       string
	Import          *Import // how it comes, or came, from a registry elsewhere; nil: it was pushed, or nobody asked
}

// Ref returns OWNER/NAME/HASH.
func (v *AlgorithmVersion) Ref() AlgorithmRef {
	return AlgorithmRef{Owner: v.Owner, Name: v.Name, Hash: v.GitHash}
}

// Check adds to v what an algorithm version breaks of the rules that hold from
// its registration to the engine that serves it; Runtime must have its defaults
// filled in.
func (a *AlgorithmVersion) Check(v *Validation) {
	CheckOwnerName(v, "owner", a.Owner, "name", a.Name)
	if !IsGitHash(a.GitHash) {
		v.Add("git_hash", "the tag %q is no version: push under %s", shorten(a.GitHash), HashRule)
	}
	CheckSemanticVersion(v, "semantic_version", a.SemanticVersion)
	if a.Weights == nil {
		a.Runtime.Check(v, "runtime")
	}
}

// VersionState is where an algorithm version is on its way into the registry.
type VersionState string

// The states of an algorithm version. A pushed version is ready at once.
const (
	VersionReady     VersionState = "ready"
	VersionImporting VersionState = "importing"
	VersionFailed    VersionState = "failed"
)

// Image is a manifest in the mothership's registry, pinned by digest.
type Image struct {
	Repository string   // lower case, such as "neo/hello"
	Digest     string   // "sha256:…" of the manifest or index
	MediaType  string   // of the manifest or index
	Size       int64    // bytes of every blob and manifest it needs
	Platforms  []string // "linux/amd64", …; sorted
}

// AlgorithmRef is OWNER/NAME/HASH, which names one algorithm version.
type AlgorithmRef struct{ Owner, Name, Hash string }

// String returns OWNER/NAME/HASH.
func (r AlgorithmRef) String() string { return r.Owner + "/" + r.Name + "/" + r.Hash }

// Repository returns the lower-case registry path of the algorithm.
func (r AlgorithmRef) Repository() string {
	return strings.ToLower(r.Owner) + "/" + strings.ToLower(r.Name)
}

var (
	namePattern = regexp.MustCompile(`^[A-Za-z0-9]+(?:[_.-]?[A-Za-z0-9]+)*$`)
	hashPattern = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
)

// reservedOwners are first path segments of the registry that hold no
// algorithms.
var reservedOwners = map[string]bool{"satellites": true, "constellation": true}

// HashRule is what a version's hash looks like, to go on "HASH has …".
const HashRule = "40 lower-case hex digits (a Git SHA-1), or 64 in a SHA-256 repository"

// IsGitHash reports whether s is the whole hash of a Git commit: 40 lower-case
// hex digits, or 64 in a SHA-256 repository.
func IsGitHash(s string) bool { return hashPattern.MatchString(s) }

// CheckOwnerName adds an error to v when owner or name cannot name an algorithm. They
// become a registry path, so the rule is the OCI one for a path component,
// with upper case allowed.
func CheckOwnerName(v *Validation, ownerField, owner, nameField, name string) {
	const rule = "has 1 to 63 letters and digits, with single '_', '.' or '-' between them"
	if len(owner) > 63 || !namePattern.MatchString(owner) {
		v.Add(ownerField, "an algorithm's owner %s", rule)
	} else if reservedOwners[strings.ToLower(owner)] {
		v.Add(ownerField, "the owner %q is reserved; choose another", owner)
	}
	if len(name) > 63 || !namePattern.MatchString(name) {
		v.Add(nameField, "an algorithm's name %s", rule)
	}
}

// ParseAlgorithmRef reads OWNER/NAME/HASH; the error is for the user.
func ParseAlgorithmRef(s string) (AlgorithmRef, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return AlgorithmRef{}, Errorf(KindInvalid, "an algorithm is written OWNER/NAME/HASH, for example neo/hello/%s", strings.Repeat("0123456789", 4))
	}
	ref := AlgorithmRef{Owner: parts[0], Name: parts[1], Hash: parts[2]}
	var v Validation
	CheckOwnerName(&v, "owner", ref.Owner, "name", ref.Name)
	if !IsGitHash(ref.Hash) {
		v.Add("hash", "the version hash has %s", HashRule)
	}
	if err := v.Err(); err != nil {
		return AlgorithmRef{}, err
	}
	return ref, nil
}

// Protocol is how an algorithm's container is called.
type Protocol string

// The protocols.
const (
	ProtocolLangserver Protocol = "langserver" // the original platform's HTTP, port 9999
	ProtocolPipe       Protocol = "pipe"       // only the pipe process: a runner is put in beside it
	ProtocolHTTP       Protocol = "http"       // any HTTP server
)

// Runtime is how an algorithm version wants to be run; the zero value of a
// field means its default.
type Runtime struct {
	Protocol    Protocol `json:"protocol"`
	Port        int      `json:"port"`
	Path        string   `json:"path"`
	Concurrency int      `json:"concurrency"` // calls at once a replica
	HealthPath  string   `json:"health_path,omitempty"`
	Network     string   `json:"network"`          // "full" or "isolated"
	CPU         string   `json:"cpu,omitempty"`    // Kubernetes quantity
	Memory      string   `json:"memory,omitempty"` // Kubernetes quantity
	GPU         int      `json:"gpu,omitempty"`
	// ReadOnlyRoot says that the image runs with a read-only root file system
	// and a /tmp of its own.
	ReadOnlyRoot bool `json:"read_only_root,omitempty"`

	HTTPSettings
}

// WithDefaults fills in what is not set: langserver on 9999, one call at
// once; http on 8080, sixteen.
func (r Runtime) WithDefaults() Runtime {
	if r.Protocol == "" {
		r.Protocol = ProtocolLangserver
	}
	if r.Port == 0 {
		r.Port = 9999
		if r.Protocol == ProtocolHTTP {
			r.Port = 8080
		}
	}
	if r.Path == "" {
		r.Path = "/"
	}
	if r.Concurrency == 0 {
		r.Concurrency = 1
		if r.Protocol == ProtocolHTTP {
			r.Concurrency = 16
		}
	}
	if r.Network == "" {
		r.Network = "full"
	}
	return r
}

// MaxPath is how many characters a Runtime's paths may have: the routes of a
// satellite's 500 algorithms are one ConfigMap of a mebibyte.
const MaxPath = 255

// The engine and the kubelet put these behind GET and POST as they are, so
// they have RFC 3986's characters for a path, and for a query, and no other.
const pathCharacters = `[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2}`

var (
	pathPattern         = regexp.MustCompile(`^/(?:` + pathCharacters + `)*$`)
	pathAndQueryPattern = regexp.MustCompile(`^/(?:` + pathCharacters + `)*(?:\?(?:\?|` + pathCharacters + `)*)?$`)
)

func checkPath(v *Validation, field, name, path string, pattern *regexp.Regexp, and string) {
	if len(path) > MaxPath || !pattern.MatchString(path) {
		v.Add(field, "%s starts with '/' and has the characters of a URL (others are written as %%20), at most %d, no space %s; not %q", name, MaxPath, and, shorten(path))
	}
}

// maxQuantity is how many characters a Kubernetes quantity may have.
const maxQuantity = 20

var quantityPattern = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`)

// Check adds to v which settings of r, defaults filled in, break a rule.
func (r Runtime) Check(v *Validation, field string) {
	switch r.Protocol {
	case ProtocolLangserver, ProtocolPipe, ProtocolHTTP:
	default:
		v.Add(field+".protocol", "protocol is one of langserver, pipe, http; not %q", shorten(string(r.Protocol)))
	}
	if r.Port < 1 || r.Port > 65535 {
		v.Add(field+".port", "port is a number from 1 to 65535")
	}
	checkPath(v, field+".path", "path", r.Path, pathPattern, "and no '?' or '#'")
	if r.Concurrency < 1 || r.Concurrency > 10000 {
		v.Add(field+".concurrency", "concurrency is a number from 1 to 10000")
	}
	if r.HealthPath != "" {
		checkPath(v, field+".health_path", "health-path", r.HealthPath, pathAndQueryPattern, "and no '#'")
	}
	if r.Network != "full" && r.Network != "isolated" {
		v.Add(field+".network", "network is full or isolated; not %q", shorten(r.Network))
	}
	if r.CPU != "" && !isQuantity(r.CPU) {
		v.Add(field+".cpu", "cpu is a Kubernetes quantity such as 500m or 2; not %q", shorten(r.CPU))
	}
	if r.Memory != "" && !isQuantity(r.Memory) {
		v.Add(field+".memory", "memory is a Kubernetes quantity such as 512Mi or 2Gi; not %q", shorten(r.Memory))
	}
	if r.GPU < 0 || r.GPU > 64 {
		v.Add(field+".gpu", "gpu is a number from 0 to 64")
	}
	r.HTTPSettings.Check(v, field, r.Protocol)
}

func isQuantity(s string) bool { return len(s) <= maxQuantity && quantityPattern.MatchString(s) }

// AlgorithmURI returns the name by which callers know an algorithm in errors.
func AlgorithmURI(path string) string { return fmt.Sprintf("algo://%s", path) }

// Use is a satellite whose latest version has an algorithm version.
type Use struct {
	SatelliteID      string
	SatelliteName    string
	SatelliteVersion int
	VanityURLs       []string
	Replicas         int // of all its vanity URLs

	// RuntimeRevisions are those of the runtime settings that it has, lowest first.
	RuntimeRevisions []int
}

// VersionUser is a satellite of which any version has an algorithm version.
type VersionUser struct {
	SatelliteID   string
	SatelliteName string
	Versions      int // how many of its versions have it
	Newest        int // the last of these
}
