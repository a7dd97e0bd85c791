package constellation

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
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
	Labels        Labels
	LatestVersion SatelliteVersion

	// Launches it has, and how many of them are up, degraded and stale; the rest
	// was never seen. They follow what happens by a few seconds.
	LaunchCount, LaunchesUp, LaunchesDegraded, LaunchesStale int
}

// Expired reports whether the satellite's bundles are refused at now.
func (s *Satellite) Expired(now time.Time) bool { return !now.Before(s.ExpiresAt) }

// SatelliteVersion is one immutable list of algorithms.
type SatelliteVersion struct {
	Number     int
	CreatedAt  time.Time
	CreatedBy  string
	Algorithms []SatelliteAlgorithm
	Schedules  []Schedule
}

// SatelliteAlgorithm is an algorithm version under a vanity URL; its numbers of
// replicas are those of its Scale.
type SatelliteAlgorithm struct {
	VanityURL   string
	Algorithm   AlgorithmRef
	Replicas    int
	MinReplicas *int
	MaxReplicas int
	Settings    PodSettings
	Weights     []WeightsMount
	// RuntimeRevision is which of the algorithm's runtime settings it has; 0 is not
	// known yet: the newest when it is saved.
	RuntimeRevision int
}

// Scale returns how many replicas the algorithm has.
func (a SatelliteAlgorithm) Scale() Scale { return Scale{a.Replicas, a.MinReplicas, a.MaxReplicas} }

// Equal reports whether a and other are the same in all their parts.
func (a SatelliteAlgorithm) Equal(other SatelliteAlgorithm) bool {
	return a.VanityURL == other.VanityURL && a.Algorithm == other.Algorithm && a.Scale().Equal(other.Scale()) && a.Settings.Equal(other.Settings) &&
		slices.Equal(a.Weights, other.Weights) && sameRevision(a.RuntimeRevision, other.RuntimeRevision)
}

// sameRevision reports whether revisions are the same as far as they are known.
func sameRevision(a, b int) bool { return a == b || a == 0 || b == 0 }

// DefaultSatelliteLifetime is how long after its creation a satellite expires
// when its maker names no date.
const DefaultSatelliteLifetime = 365 * 24 * time.Hour

// What a satellite has at most: algorithms in one version, and versions.
const (
	MaxAlgorithms       = 500
	MaxSatelliteVersion = math.MaxInt32
)

// MaxReplicas is the most replicas of one algorithm in one satellite.
const MaxReplicas = 1000

var (
	vanityFirst = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	vanityOther = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
)

// MaxVanityURL is how many characters a vanity URL may have.
const MaxVanityURL = 200

// CheckVanityURL adds an error to v when s is no vanity URL. The first segment has no
// hyphen because official clients match \w+/.+.
func CheckVanityURL(v *Validation, field, s string) {
	segments := strings.Split(s, "/")
	switch {
	case len(s) > MaxVanityURL:
		v.Add(field, "a vanity URL has at most %d characters", MaxVanityURL)
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

// CheckDisplayName adds an error to v when a satellite's, launch's or key's name is
// empty, longer than 200 characters, or has characters that are not seen.
func CheckDisplayName(v *Validation, field, what, name string) {
	n := utf8.RuneCountInString(name)
	switch {
	case strings.TrimSpace(name) == "":
		v.Add(field, "%s needs a name", what)
	case n > 200:
		v.Add(field, "a name has at most 200 characters; this one has %d", n)
	case !utf8.ValidString(name) || strings.IndexFunc(name, IsInvisible) >= 0:
		v.Add(field, "a name has no control characters, and none that turn the direction of a line")
	case strings.TrimSpace(name) != name:
		v.Add(field, "a name does not start or end with a space")
	}
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
	// CallbackURL is where results of its asynchronous calls are posted that name
	// no other place; "": nowhere.
	CallbackURL string
}

// Access is who may call a satellite's algorithms, and until when the satellite
// is good. Of two, the one with the greater Version is the newer, whatever way
// it came; of the same version, keys leave when they expire.
type Access struct {
	Version   int64
	ExpiresAt time.Time
	Keys      []SatelliteKey // that work, oldest first
}

// MaxKeyAlgorithms is how many vanity URLs a key may be limited to.
const MaxKeyAlgorithms = 100

// CheckKeyAlgorithms adds to v what is wrong with the vanity URLs that a key is
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

// CheckKeyRate adds to v what is wrong with a key's rate.
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
