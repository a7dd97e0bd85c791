package constellation

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Satellite is a group of algorithms to be run elsewhere. Every edit of its
// algorithms makes a new immutable SatelliteVersion.
type Satellite struct {
	ID            string // UUID
	Name          string
	CreatedAt     time.Time
	CreatedBy     string
	ExpiresAt     time.Time
	UpdatedAt     time.Time
	UpdatedBy     string
	Revision      int64 // grows with every change; the ETag
	LatestVersion SatelliteVersion

	// Launches it has, and how many of them are up, degraded and stale; the rest
	// was never seen. They follow what happens by a few seconds.
	LaunchCount, LaunchesUp, LaunchesDegraded, LaunchesStale int
}

// Expired says whether the satellite's bundles are refused at now.
func (s *Satellite) Expired(now time.Time) bool { return !now.Before(s.ExpiresAt) }

// SatelliteVersion is one immutable list of algorithms.
type SatelliteVersion struct {
	Number     int
	CreatedAt  time.Time
	CreatedBy  string
	Algorithms []SatelliteAlgorithm
}

// SatelliteAlgorithm is an algorithm version under a vanity URL.
type SatelliteAlgorithm struct {
	VanityURL string
	Algorithm AlgorithmRef
	Replicas  int
}

// DefaultSatelliteLifetime is how long after its creation a satellite expires
// when its maker names no date.
const DefaultSatelliteLifetime = 365 * 24 * time.Hour

// MaxReplicas is the most replicas of one algorithm in one satellite.
const MaxReplicas = 1000

var (
	vanityFirst = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	vanityOther = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
)

// CheckVanityURL tells v when s is no vanity URL. The first segment has no
// hyphen because official clients match \w+/.+ (reference section 1).
func CheckVanityURL(v *Validation, field, s string) {
	segments := strings.Split(s, "/")
	switch {
	case len(s) > 200:
		v.Add(field, "a vanity URL has at most 200 characters")
		return
	case len(segments) < 2:
		v.Add(field, "a vanity URL has two segments or more, such as foo/bar, because the official clients look for OWNER/NAME; not %q", s)
		return
	case !vanityFirst.MatchString(segments[0]):
		v.Add(field, "the first segment of a vanity URL has letters, digits and '_' only, not %q: the official clients read no '-' or '.' there, and could not call it", segments[0])
		return
	}
	for _, segment := range segments[1:] {
		if !vanityOther.MatchString(segment) || segment == "." || segment == ".." {
			v.Add(field, "the segments of a vanity URL have letters, digits, '_', '.' and '-', and are not '.' or '..'")
			return
		}
	}
}

// CheckDisplayName tells v when a satellite's, launch's or key's name is
// empty, longer than 200 characters, or has control characters.
func CheckDisplayName(v *Validation, field, what, name string) {
	n := utf8.RuneCountInString(name)
	switch {
	case strings.TrimSpace(name) == "":
		v.Add(field, "%s needs a name", what)
	case n > 200:
		v.Add(field, "a name has at most 200 characters; this one has %d", n)
	case !utf8.ValidString(name) || strings.IndexFunc(name, unicode.IsControl) >= 0:
		v.Add(field, "a name has no control characters")
	case strings.TrimSpace(name) != name:
		v.Add(field, "a name does not start or end with a space")
	}
}

// VersionDiff is what changed between two versions of a satellite, each list
// ordered by vanity URL.
type VersionDiff struct {
	Added   []SatelliteAlgorithm
	Removed []SatelliteAlgorithm
	Changed []AlgorithmChange
}

// AlgorithmChange is one vanity URL whose algorithm or replicas differ.
type AlgorithmChange struct{ From, To SatelliteAlgorithm }

// DiffVersions compares two lists of algorithms by vanity URL.
func DiffVersions(from, to []SatelliteAlgorithm) VersionDiff {
	old := make(map[string]SatelliteAlgorithm, len(from))
	for _, a := range from {
		old[a.VanityURL] = a
	}
	var d VersionDiff
	for _, a := range to {
		b, ok := old[a.VanityURL]
		switch {
		case !ok:
			d.Added = append(d.Added, a)
		case a != b:
			d.Changed = append(d.Changed, AlgorithmChange{From: b, To: a})
		}
		delete(old, a.VanityURL)
	}
	for _, a := range old {
		d.Removed = append(d.Removed, a)
	}
	less := func(list []SatelliteAlgorithm) func(i, j int) bool {
		return func(i, j int) bool { return list[i].VanityURL < list[j].VanityURL }
	}
	sort.Slice(d.Added, less(d.Added))
	sort.Slice(d.Removed, less(d.Removed))
	sort.Slice(d.Changed, func(i, j int) bool { return d.Changed[i].To.VanityURL < d.Changed[j].To.VanityURL })
	return d
}

// SatelliteKey is a key that may call a satellite's algorithms.
type SatelliteKey struct {
	ID         string
	Name       string
	Prefix     string
	SHA256     string   // lower-case hex of the whole key
	Algorithms []string // vanity URLs that it may call; none: all
	Rate       KeyRate
	CreatedAt  time.Time
	CreatedBy  string
	ExpiresAt  *time.Time
	RevokedAt  *time.Time
	LastUsedAt *time.Time // as satellites that report tell; nil: not known
}

// MaxKeyAlgorithms is how many vanity URLs a key may be limited to.
const MaxKeyAlgorithms = 100

// CheckKeyAlgorithms tells v what is wrong with the vanity URLs that a key is
// limited to: each is one, and there once. They may name algorithms that the
// satellite does not have yet.
func CheckKeyAlgorithms(v *Validation, field string, vanityURLs []string) {
	if len(vanityURLs) > MaxKeyAlgorithms {
		v.Add(field, "a key can be limited to at most %d algorithms, not %d", MaxKeyAlgorithms, len(vanityURLs))
		return
	}
	seen := make(map[string]bool, len(vanityURLs))
	for i, url := range vanityURLs {
		at := fmt.Sprintf("%s[%d]", field, i)
		CheckVanityURL(v, at, url)
		if seen[url] {
			v.Add(at, "the vanity URL %q is there twice", url)
		}
		seen[url] = true
	}
}

// KeyRate limits how often a key may call; a PerSecond of 0 does not. Burst is
// how many calls may come at once, 0 for those of a second.
type KeyRate struct {
	PerSecond float64 `json:"per_second"`
	Burst     int     `json:"burst,omitempty"`
}

// MaxKeyRate bounds both parts of a KeyRate.
const MaxKeyRate = 1_000_000

// BurstOrDefault is at least 1.
func (r KeyRate) BurstOrDefault() int {
	if r.Burst > 0 {
		return r.Burst
	}
	return max(1, int(r.PerSecond))
}

// CheckKeyRate tells v what is wrong with a key's rate.
func CheckKeyRate(v *Validation, field string, r KeyRate) {
	if !(r.PerSecond >= 0 && r.PerSecond <= MaxKeyRate) { // NaN neither
		v.Add(field+".per_second", "a key's calls per second are a number from 0, which is no limit, to %d", MaxKeyRate)
	}
	switch {
	case r.Burst < 0 || r.Burst > MaxKeyRate:
		v.Add(field+".burst", "a key's calls at once are a whole number from 1 to %d, or 0 for those of a second", MaxKeyRate)
	case r.Burst > 0 && r.PerSecond == 0:
		v.Add(field+".burst", "calls at once are limited only together with calls per second: give per_second too")
	}
}

// Event is one row of the audit log: who did what to what, when.
type Event struct {
	ID         int64
	At         time.Time
	Actor      string // username, or "system"
	ActorKeyID string // "" when no key was used
	Action     string // "satellite.create", "api_key.revoke", …
	TargetKind string // "satellite", "launch", …
	TargetID   string
	TargetName string
	Before     []byte // JSON, nil on creation; never a secret
	After      []byte // JSON, nil on removal; never a secret
	Address    string // the caller's, "" from a shell
}
