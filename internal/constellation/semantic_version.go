package constellation

import (
	"cmp"
	"regexp"
	"strings"
)

// MaxSemanticVersion is how many characters a semantic version may have.
const MaxSemanticVersion = 100

// SemanticVersion is a version as semver.org 2.0.0 has it, such as 1.2.0,
// 2.0.0-rc.1 or 1.2.0+build.7. The zero value is no version, and precedes all.
type SemanticVersion struct {
	core       [3]string // no leading zeros, so that longer is greater
	prerelease string    // identifiers with dots between them, or ""
	build      string
}

var semanticVersionPattern = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)` +
	`(?:-((?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*))?` +
	`(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$`)

// ParseSemanticVersion reads a semantic version, and reports whether s is one.
func ParseSemanticVersion(s string) (v SemanticVersion, ok bool) {
	if len(s) > MaxSemanticVersion {
		return SemanticVersion{}, false
	}
	m := semanticVersionPattern.FindStringSubmatch(s)
	if m == nil {
		return SemanticVersion{}, false
	}
	return SemanticVersion{core: [3]string(m[1:4]), prerelease: m[4], build: m[5]}, true
}

// CheckSemanticVersion adds an error to v when s is no semantic version; "" is none, and
// allowed.
func CheckSemanticVersion(v *Validation, field, s string) {
	if _, ok := ParseSemanticVersion(s); s != "" && !ok {
		v.Add(field, "a semantic version is three numbers such as 1.2.0, with a pre-release and a build behind them if need be (1.2.0-rc.1+b7), and at most %d characters; not %q", MaxSemanticVersion, shorten(s))
	}
}

// IsPrerelease reports whether the version comes before a release.
func (v SemanticVersion) IsPrerelease() bool { return v.prerelease != "" }

// Build returns what stands behind the "+", which says nothing of precedence.
func (v SemanticVersion) Build() string { return v.build }

// Compare returns -1, 0 or +1 as v precedes w, is its equal, or follows it.
func (v SemanticVersion) Compare(w SemanticVersion) int {
	for i := range v.core {
		if order := compareNumbers(v.core[i], w.core[i]); order != 0 {
			return order
		}
	}
	switch {
	case v.prerelease == w.prerelease:
		return 0
	case v.prerelease == "":
		return 1
	case w.prerelease == "":
		return -1
	}
	ours, theirs := strings.Split(v.prerelease, "."), strings.Split(w.prerelease, ".")
	for i := range min(len(ours), len(theirs)) {
		if order := compareIdentifiers(ours[i], theirs[i]); order != 0 {
			return order
		}
	}
	return cmp.Compare(len(ours), len(theirs))
}

// compareIdentifiers compares parts of pre-releases: numbers by their value,
// and before words.
func compareIdentifiers(a, b string) int {
	switch numberA, numberB := isNumber(a), isNumber(b); {
	case numberA && numberB:
		return compareNumbers(a, b)
	case numberA:
		return -1
	case numberB:
		return 1
	}
	return strings.Compare(a, b)
}

// compareNumbers compares numbers without leading zeros, of any length.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }
