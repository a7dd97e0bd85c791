package constellation

import (
	"slices"
	"strconv"
	"strings"
)

// SatelliteDraft is a satellite as somebody is typing it: nothing in it is
// checked yet.
type SatelliteDraft struct {
	ID           string           `json:"-"` // UUID
	SatelliteID  string           `json:"-"` // "" for a new satellite
	BaseRevision int64            `json:"base_revision"`
	BaseVersion  int              `json:"base_version"`
	BaseName     string           `json:"base_name"`
	Name         string           `json:"name"`
	Algorithms   []DraftAlgorithm `json:"algorithms"`
}

// DraftAlgorithm is a line of a draft, as it was typed.
type DraftAlgorithm struct {
	Algorithm string `json:"algorithm"`
	VanityURL string `json:"vanity_url"`
	Replicas  string `json:"replicas"`
}

// DraftAlgorithms are a version's algorithms as lines of a draft.
func DraftAlgorithms(list []SatelliteAlgorithm) []DraftAlgorithm {
	lines := make([]DraftAlgorithm, len(list))
	for i, a := range list {
		lines[i] = DraftAlgorithm{Algorithm: a.Algorithm.String(), VanityURL: a.VanityURL, Replicas: strconv.Itoa(a.Replicas)}
	}
	return lines
}

// Typed is a line as a satellite's algorithm, as far as it can be read: what
// differs from a saved version is seen before it is saved.
func (d DraftAlgorithm) Typed() SatelliteAlgorithm {
	a := SatelliteAlgorithm{VanityURL: d.VanityURL}
	a.Replicas, _ = strconv.Atoi(strings.TrimSpace(d.Replicas)) // saving checks it
	parts := strings.SplitN(d.Algorithm, "/", 3)
	for i, part := range []*string{&a.Algorithm.Owner, &a.Algorithm.Name, &a.Algorithm.Hash} {
		if i < len(parts) {
			*part = parts[i]
		}
	}
	return a
}

// TypedAlgorithms are the lines of a draft as a version's algorithms.
func TypedAlgorithms(lines []DraftAlgorithm) []SatelliteAlgorithm {
	list := make([]SatelliteAlgorithm, len(lines))
	for i, d := range lines {
		list[i] = d.Typed()
	}
	return list
}

// MergeConflict is a vanity URL that two editors changed in different ways; a
// side that removed it is nil.
type MergeConflict struct {
	VanityURL    string
	Theirs, Mine *SatelliteAlgorithm
}

// MergeVersions puts the changes from base to mine on theirs. Where both
// changed the same vanity URL in different ways it keeps theirs and says so,
// but for those that useMine names.
func MergeVersions(base, theirs, mine []SatelliteAlgorithm, useMine []string) ([]SatelliteAlgorithm, []MergeConflict) {
	before, now := byVanityURL(base), byVanityURL(theirs)
	var conflicts []MergeConflict
	merged := slices.Clone(theirs)
	change := func(url string, to *SatelliteAlgorithm) {
		at := slices.IndexFunc(merged, func(a SatelliteAlgorithm) bool { return a.VanityURL == url })
		switch {
		case to == nil && at >= 0:
			merged = slices.Delete(merged, at, at+1)
		case to != nil && at >= 0:
			merged[at] = *to
		case to != nil:
			merged = append(merged, *to)
		}
	}
	decide := func(url string, to *SatelliteAlgorithm) {
		was, is := before[url], now[url]
		switch {
		case same(was, to) || same(is, to): // I did not change it, or both did alike
			return
		case !same(was, is): // both changed it
			conflicts = append(conflicts, MergeConflict{VanityURL: url, Theirs: is, Mine: to})
			if !slices.Contains(useMine, url) {
				return
			}
		}
		change(url, to)
	}
	ours := byVanityURL(mine)
	for _, a := range mine {
		decide(a.VanityURL, &a)
	}
	for _, a := range base {
		if ours[a.VanityURL] == nil {
			decide(a.VanityURL, nil)
		}
	}
	return merged, conflicts
}

func byVanityURL(list []SatelliteAlgorithm) map[string]*SatelliteAlgorithm {
	m := make(map[string]*SatelliteAlgorithm, len(list))
	for i := range list {
		m[list[i].VanityURL] = &list[i]
	}
	return m
}

func same(a, b *SatelliteAlgorithm) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
