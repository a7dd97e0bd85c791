package room

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Setting is a setting of stage.resources for one group of pods.
type Setting struct {
	Key   string // cpu, cpu_limit or memory; or the whole of it
	Value resource.Quantity
}

// smallest returns one value for each key: of two the smaller one is right for
// both.
func smallest(list []Setting) map[string]resource.Quantity {
	values := map[string]resource.Quantity{}
	for _, a := range list {
		if have, ok := values[a.Key]; !ok || a.Value.Cmp(have) < 0 {
			values[a.Key] = a.Value
		}
	}
	return values
}

// Configure writes settings as the verb takes them.
func Configure(list []Setting) string {
	text, values := "configure", smallest(list)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		text += " " + key + "=" + value.String()
	}
	return text
}

// Configured is the group when settings, with the whole of their keys, are
// Configured.
func (r Ranges) Configured(g Group, advice []Setting) Group {
	var list []Setting
	for key, value := range smallest(advice) {
		if rest, ok := strings.CutPrefix(key, "stage.resources."+g.Key()+"."); ok {
			list = append(list, Setting{rest, value})
		}
	}
	g.Spec = *g.with(list)
	return r.Complete(g)
}

// Complete has what admission adds to the group's pods.
func (r Ranges) Complete(g Group) Group {
	g.Admitted = *g.Spec.DeepCopy()
	g.Refused = admit(&g.Admitted, r)
	g.Requests, g.Limits = podResources(g.Admitted)
	return g
}
