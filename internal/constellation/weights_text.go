package constellation

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// WeightsText writes weights as people do, a line each: OWNER/NAME/HASH PATH.
func WeightsText(mounts []WeightsMount) string {
	lines := make([]string, len(mounts))
	for i, m := range mounts {
		lines[i] = m.Artifact.String() + " " + m.Path
	}
	return strings.Join(lines, "\n")
}

// ParseWeights reads what WeightsText writes, never nil. The error says in which
// line what is wrong; whether the weights can be read is for others to check.
func ParseWeights(text string) ([]WeightsMount, error) {
	var v Validation
	mounts := []WeightsMount{}
	eachLine(&v, "weights", text, func(line string) error {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return Errorf(KindInvalid, "weights are written OWNER/NAME/HASH and the folder, such as /models/x, with a space between")
		}
		ref, err := ParseAlgorithmRef(fields[0])
		if err != nil {
			return Errorf(KindInvalid, "%q is not OWNER/NAME/HASH", shorten(fields[0]))
		}
		mounts = append(mounts, WeightsMount{ref, fields[1]})
		return nil
	})
	return mounts, v.Err()
}

// DiffBesides returns what differs of an algorithm's weights, by where they are,
// and of the revision of its runtime settings.
func DiffBesides(from, to SatelliteAlgorithm) []SettingChange {
	var changes []SettingChange
	was, now := map[string]string{}, map[string]string{}
	for _, m := range from.Weights {
		was[m.Path] = m.Artifact.String()
	}
	for _, m := range to.Weights {
		now[m.Path] = m.Artifact.String()
	}
	for _, path := range slices.Sorted(maps.Keys(now)) {
		if was[path] != now[path] {
			changes = append(changes, SettingChange{"weights at " + path, was[path], now[path]})
		}
	}
	for _, path := range slices.Sorted(maps.Keys(was)) {
		if now[path] == "" {
			changes = append(changes, SettingChange{"weights at " + path, was[path], ""})
		}
	}
	if from.Algorithm == to.Algorithm && !sameRevision(from.RuntimeRevision, to.RuntimeRevision) {
		changes = append(changes, SettingChange{"runtime settings", "revision " + strconv.Itoa(from.RuntimeRevision), "revision " + strconv.Itoa(to.RuntimeRevision)})
	}
	return changes
}
