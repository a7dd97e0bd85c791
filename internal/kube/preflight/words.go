package preflight

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/constellation-serving/constellation/internal/kube/apply"
)

// names lists objects for a message.
func names(objects []apply.Object) string {
	parts := make([]string, len(objects))
	for i, o := range objects {
		parts[i] = o.String()
	}
	return strings.Join(parts, ", ")
}

// keysOf lists a map's keys for a message.
func keysOf[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

func sorted(list []string) []string {
	sort.Strings(list)
	return list
}
