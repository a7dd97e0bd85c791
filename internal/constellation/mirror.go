package constellation

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"
)

// Mirror is a rule by which tags of a repository elsewhere become versions of an
// algorithm.
type Mirror struct {
	ID              string // UUID
	Owner, Name     string // of the algorithm
	Source          string // REGISTRY/REPOSITORY, as ParseRepositoryName returns it
	Tags            []string
	Keep            int // how many of the newest tags that match are followed
	IntervalSeconds int
	Disabled        bool
	HasWebhook      bool

	Round       int // one more each time that a poll begins
	LeasedUntil *time.Time
	NextAt      time.Time
	PolledAt    *time.Time // when the last poll ended, however it did
	Failures    int        // polls that failed, one after the other
	Error       string     // of the last poll, in a sentence
	ETag        string     // of the list of tags
	Listed      int        // tags that the repository has
	More        bool       // and that were not looked at, since there are too many

	Matched, Importing, Failed int // of its tags

	CreatedAt time.Time
	CreatedBy string
	UpdatedAt time.Time
	UpdatedBy string
}

// Algorithm returns OWNER/NAME of the algorithm.
func (m *Mirror) Algorithm() string { return m.Owner + "/" + m.Name }

// String returns what is mirrored, for people.
func (m *Mirror) String() string { return m.Source + ":" + strings.Join(m.Tags, ",") }

// MirrorState is how a mirror does.
type MirrorState string

// The states of a mirror.
const (
	MirrorWaits    MirrorState = "waiting" // for its first poll
	MirrorWatches  MirrorState = "watching"
	MirrorFails    MirrorState = "failing" // the last poll did
	MirrorDisabled MirrorState = "disabled"
)

// MirrorStates are the states of a mirror.
var MirrorStates = []MirrorState{MirrorWaits, MirrorWatches, MirrorFails, MirrorDisabled}

// State returns how the mirror does.
func (m *Mirror) State() MirrorState {
	switch {
	case m.Disabled:
		return MirrorDisabled
	case m.Error != "":
		return MirrorFails
	case m.PolledAt == nil:
		return MirrorWaits
	}
	return MirrorWatches
}

// Polling reports whether a poll is under way.
func (m *Mirror) Polling(now time.Time) bool { return m.LeasedUntil != nil && m.LeasedUntil.After(now) }

// Bounds of mirrors.
const (
	MaxMirrors        = 500
	maxTagPatterns    = 20
	maxTagPattern     = 128
	MaxMirrorTags     = 200 // that one follows
	minMirrorInterval = 60
	maxMirrorInterval = 7 * 24 * 3600
)

// What a mirror has of which nothing is said.
const (
	DefaultMirrorTags     = 10
	DefaultMirrorInterval = 900
)

// CheckMirror adds to v what is wrong with a mirror.
func CheckMirror(v *Validation, m *Mirror) {
	if len(m.Tags) == 0 || len(m.Tags) > maxTagPatterns {
		v.Add("tags", "give 1 to %d patterns of tags, such as v*", maxTagPatterns)
	}
	positive := false
	for _, p := range m.Tags {
		glob, not := strings.CutPrefix(p, "!")
		positive = positive || !not
		if _, err := path.Match(glob, "x"); err != nil || glob == "" || len(glob) > maxTagPattern || strings.ContainsFunc(glob, notOfTagPattern) {
			v.Add("tags", "a pattern of tags is a tag in which * stands for anything, ? for a character and [a-z] for one of those, with ! before it to leave tags out, and has at most %d characters; not %q", maxTagPattern, shorten(p))
			return
		}
	}
	if len(m.Tags) > 0 && !positive {
		v.Add("tags", "these patterns only leave tags out: give one that takes some in, such as *")
	}
	if m.Keep < 1 || m.Keep > MaxMirrorTags {
		v.Add("keep", "a mirror follows 1 to %d tags", MaxMirrorTags)
	}
	if m.IntervalSeconds < minMirrorInterval || m.IntervalSeconds > maxMirrorInterval {
		v.Add("interval_seconds", "a mirror is polled every %d to %d seconds", minMirrorInterval, maxMirrorInterval)
	}
}

func notOfTagPattern(r rune) bool {
	isAlphanumeric := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !isAlphanumeric && !strings.ContainsRune("._-*?[]^", r)
}

// Matches reports whether the whole of a tag is what the patterns say: the last one
// that fits decides. Tags that tools make of a digest, for signatures and the like,
// never match.
func (m *Mirror) Matches(tag string) bool {
	if digits, ok := strings.CutPrefix(tag, "sha256-"); ok && len(digits) >= 64 || !foreignTag.MatchString(tag) {
		return false
	}
	takes := false
	for _, p := range m.Tags {
		glob, not := strings.CutPrefix(p, "!")
		if fits, _ := path.Match(glob, tag); fits { // CheckMirror has looked at it
			takes = !not
		}
	}
	return takes
}

// MirrorTag is a tag that matches, and what became of it.
type MirrorTag struct {
	Tag       string
	Digest    string // that was seen last, "" for none yet
	VersionID *string
	GitHash   string       // of the version, "" for none
	State     VersionState // of the version, "" for none
	SeenAt    time.Time    // first
	Gone      bool         // the repository has it no more
	Error     string       // why there is no version, or why its import failed
}

// NewestTags returns up to keep of the tags, the newest last: by their semantic version
// those that have one, which are newer than others; others by when they were seen
// first, and by their names, in which numbers count as such.
func NewestTags(tags []MirrorTag, keep int) []MirrorTag {
	sorted := slices.Clone(tags)
	slices.SortStableFunc(sorted, func(a, b MirrorTag) int {
		x, isX := ParseSemanticVersion(strings.TrimPrefix(a.Tag, "v"))
		y, isY := ParseSemanticVersion(strings.TrimPrefix(b.Tag, "v"))
		switch {
		case isX && isY:
			return cmp.Or(x.Compare(y), compareNaturally(a.Tag, b.Tag))
		case isX:
			return 1
		case isY:
			return -1
		}
		return cmp.Or(a.SeenAt.Compare(b.SeenAt), compareNaturally(a.Tag, b.Tag))
	})
	return sorted[max(0, len(sorted)-keep):]
}

// compareNaturally compares texts with numbers in them, so that 9 is before 10.
func compareNaturally(a, b string) int {
	for a != "" && b != "" {
		x, y := leadingNumber(a), leadingNumber(b)
		if x == "" || y == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		if order := compareNumbers(strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")); order != 0 {
			return order
		}
		a, b = a[len(x):], b[len(y):]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingNumber(s string) string { return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))] }

// Labels that say what an image was built from.
const (
	labelRevision = "org.opencontainers.image.revision"
	labelVersion  = "org.opencontainers.image.version"
)

// MirroredVersion returns the hash and the semantic version of what a mirror makes of a
// tag. The hash is the tag itself where that is one, or else the revision of the image's
// labels, or else the digits of its digest. The semantic version is the tag's, or else
// that of the labels, or "".
func MirroredVersion(tag, digest string, labels map[string]string) (hash, version string) {
	hash = strings.TrimPrefix(digest, "sha256:")
	if revision := strings.ToLower(labels[labelRevision]); IsGitHash(revision) {
		hash = revision
	}
	if IsGitHash(tag) {
		hash = tag
	}
	for _, text := range []string{tag, labels[labelVersion]} {
		text = strings.TrimPrefix(text, "v")
		if _, ok := ParseSemanticVersion(text); ok {
			return hash, text
		}
	}
	return hash, ""
}

// ImportFailure is what sort of failure ended an import.
type ImportFailure string

// The sorts of failures.
const (
	FailedRoom      ImportFailure = "room"  // no disk or quota
	FailedAway      ImportFailure = "away"  // the registry, or its login
	FailedImage     ImportFailure = "image" // it cannot be a version
	FailedCancelled ImportFailure = "cancelled"
)
