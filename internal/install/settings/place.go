package settings

import (
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Place is what belongs at a path of a configuration file.
type Place int

// What a path leads to.
const (
	Nowhere Place = iota
	Group         // of further settings
	Single        // the one value of a key
)

// At returns what belongs at a path of a configuration file, and the key of a
// value.
func At(path []string) (key string, place Place) {
	key = strings.Join(path, ".")
	for _, s := range table {
		if s.at == key {
			return s.key, Single
		}
	}
	if s, found, _, ok := find(key); ok && s.at == "" && slices.Equal(found, path) && !isMap(key) {
		return key, Single
	}
	if slices.ContainsFunc(table, func(s setting) bool { return leads(path, s.pathParts()) }) {
		return key, Group
	}
	return key, Nowhere
}

// leads reports whether a path is the beginning of a setting's.
func leads(path, to []string) bool {
	return len(path) < len(to) && !slices.ContainsFunc(zip(path, to), func(pair [2]string) bool {
		return pair[0] != pair[1] && !isOpen(pair[1])
	})
}

func zip(a, b []string) [][2]string {
	pairs := make([][2]string, min(len(a), len(b)))
	for i := range pairs {
		pairs[i] = [2]string{a[i], b[i]}
	}
	return pairs
}

// NearestKey returns the key, or the group of keys, that is written most like key.
func NearestKey(key string) string {
	var all []string
	for _, known := range settingKeys() {
		all = append(all, known)
		for i, r := range known {
			if r == '.' {
				all = append(all, known[:i])
			}
		}
	}
	return constellation.Nearest(key, all)
}

// NamesFile reports whether a key's value names a file of this machine, or a list
// of them.
func NamesFile(key string) bool {
	s, _, _, ok := find(key)
	return ok && s.file
}
