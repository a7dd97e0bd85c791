package constellation

import (
	"slices"
	"strings"
)

// VersionDiff is what changed between two versions of a satellite, each list
// ordered by vanity URL.
type VersionDiff struct {
	Added     []SatelliteAlgorithm
	Removed   []SatelliteAlgorithm
	Changed   []AlgorithmChange
	Schedules ScheduleDiff
}

// AlgorithmChange is one vanity URL whose algorithm or replicas differ.
type AlgorithmChange struct{ From, To SatelliteAlgorithm }

// ScheduleDiff is what changed of the schedules, each list ordered by name.
type ScheduleDiff struct {
	Added   []Schedule
	Removed []Schedule
	Changed []ScheduleChange
}

// ScheduleChange is one name whose schedule differs.
type ScheduleChange struct{ From, To Schedule }

// Count returns how many algorithms and schedules differ.
func (d *VersionDiff) Count() int {
	return len(d.Added) + len(d.Removed) + len(d.Changed) + len(d.Schedules.Added) + len(d.Schedules.Removed) + len(d.Schedules.Changed)
}

// DiffVersions compares two versions: their algorithms by vanity URL, their
// schedules by name.
func DiffVersions(from, to *SatelliteVersion) VersionDiff {
	var d VersionDiff
	diff(from.Algorithms, to.Algorithms, vanityURLOf, SatelliteAlgorithm.Equal,
		func(a SatelliteAlgorithm) { d.Added = append(d.Added, a) },
		func(a SatelliteAlgorithm) { d.Removed = append(d.Removed, a) },
		func(a, b SatelliteAlgorithm) { d.Changed = append(d.Changed, AlgorithmChange{a, b}) })
	diff(from.Schedules, to.Schedules, nameOf, equalSchedules,
		func(s Schedule) { d.Schedules.Added = append(d.Schedules.Added, s) },
		func(s Schedule) { d.Schedules.Removed = append(d.Schedules.Removed, s) },
		func(a, b Schedule) { d.Schedules.Changed = append(d.Schedules.Changed, ScheduleChange{a, b}) })
	return d
}

func vanityURLOf(a SatelliteAlgorithm) string { return a.VanityURL }
func nameOf(s Schedule) string                { return s.Name }
func equalSchedules(a, b Schedule) bool       { return a == b }

// diff calls a function for each part that is in one of two lists alone, or is
// another in both, in the order of their keys.
func diff[T any](from, to []T, key func(T) string, equal func(a, b T) bool, added, removed func(T), changed func(a, b T)) {
	ordered := func(list []T) []T {
		return slices.SortedStableFunc(slices.Values(list), func(a, b T) int { return strings.Compare(key(a), key(b)) })
	}
	old, now := byKey(from, key), byKey(to, key)
	for _, part := range ordered(to) {
		if was := old[key(part)]; was == nil {
			added(part)
		} else if !equal(*was, part) {
			changed(*was, part)
		}
	}
	for _, part := range ordered(from) {
		if now[key(part)] == nil {
			removed(part)
		}
	}
}

func byKey[T any](list []T, key func(T) string) map[string]*T {
	m := make(map[string]*T, len(list))
	for i := range list {
		m[key(list[i])] = &list[i]
	}
	return m
}

// MergeConflict is a vanity URL, or the name of a schedule, that two editors
// changed in different ways; a side that removed it is nil.
type MergeConflict struct {
	VanityURL    string
	Theirs, Mine *SatelliteAlgorithm

	Schedule                  string // "" where VanityURL is not
	TheirSchedule, MySchedule *Schedule
}

// Key returns what MergeVersions is told to use mine for: no name of a schedule
// has a '/', and every vanity URL has one.
func (c *MergeConflict) Key() string {
	if c.Schedule != "" {
		return c.Schedule
	}
	return c.VanityURL
}

// MergeVersions puts the changes from base to mine on theirs. Where both
// changed the same vanity URL or schedule in different ways it keeps theirs and
// says so, but for those whose keys useMine has.
func MergeVersions(base, theirs, mine *SatelliteVersion, useMine []string) (SatelliteVersion, []MergeConflict) {
	var merged SatelliteVersion
	var conflicts []MergeConflict
	merged.Algorithms = merge(base.Algorithms, theirs.Algorithms, mine.Algorithms, vanityURLOf, SatelliteAlgorithm.Equal, func(url string, is, to *SatelliteAlgorithm) bool {
		conflicts = append(conflicts, MergeConflict{VanityURL: url, Theirs: is, Mine: to})
		return slices.Contains(useMine, url)
	})
	merged.Schedules = merge(base.Schedules, theirs.Schedules, mine.Schedules, nameOf, equalSchedules, func(name string, is, to *Schedule) bool {
		conflicts = append(conflicts, MergeConflict{Schedule: name, TheirSchedule: is, MySchedule: to})
		return slices.Contains(useMine, name)
	})
	return merged, conflicts
}

// merge puts the changes from base to mine on theirs. Where both changed a part
// in different ways, takeMine decides.
func merge[T any](base, theirs, mine []T, key func(T) string, equal func(a, b T) bool, takeMine func(key string, is, to *T) bool) []T {
	before, now, ours := byKey(base, key), byKey(theirs, key), byKey(mine, key)
	same := func(a, b *T) bool { return a == nil && b == nil || a != nil && b != nil && equal(*a, *b) }
	merged := slices.Clone(theirs)
	decide := func(k string, to *T) {
		was, is := before[k], now[k]
		if same(was, to) || same(is, to) { // I did not change it, or both did alike
			return
		}
		if !same(was, is) && !takeMine(k, is, to) { // both changed it
			return
		}
		at := slices.IndexFunc(merged, func(part T) bool { return key(part) == k })
		switch {
		case to == nil && at >= 0:
			merged = slices.Delete(merged, at, at+1)
		case to != nil && at >= 0:
			merged[at] = *to
		case to != nil:
			merged = append(merged, *to)
		}
	}
	for i := range mine {
		decide(key(mine[i]), &mine[i])
	}
	for _, part := range base {
		if ours[key(part)] == nil {
			decide(key(part), nil)
		}
	}
	return merged
}
