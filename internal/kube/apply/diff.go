package apply

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Difference is one field of an object that would change.
type Difference struct {
	Path string `json:"path"`
	Old  string `json:"old,omitempty"` // "" is nothing there
	New  string `json:"new,omitempty"`
}

// Differences returns what a change does to the fields of its object. Of a
// Secret's values only a hash is shown.
func (c Change) Differences() []Difference {
	if c.Live == nil || c.result == nil {
		return nil
	}
	w := differ{secret: c.Object.Kind == "Secret"}
	w.walk("", compared(c.Live), compared(c.result))
	return w.found
}

// differ collects differences.
type differ struct {
	secret bool
	found  []Difference
}

func (d *differ) walk(path string, old, new any) {
	if reflect.DeepEqual(old, new) || strings.HasSuffix(path, "."+render.AnnotationDigest) {
		return
	}
	old, new = d.opened(path, old), d.opened(path, new)
	a, isMap := asMap(old)
	b, alsoMap := asMap(new)
	x, isList := old.([]any)
	y, alsoList := new.([]any)
	switch {
	case isMap && alsoMap:
		for _, key := range slices.Sorted(maps.Keys(merged(a, b))) {
			d.walk(join(path, key), a[key], b[key])
		}
	case isList && alsoList:
		for i := range max(len(x), len(y)) {
			d.walk(fmt.Sprintf("%s[%d]", path, i), item(x, i), item(y, i))
		}
	default:
		d.found = append(d.found, Difference{path, d.text(path, old), d.text(path, new)})
	}
}

// opened reads a value that is a JSON document, as the engine's routes are.
func (d *differ) opened(path string, value any) any {
	s, ok := value.(string)
	if !ok || d.secret || !strings.HasPrefix(path, "data.") || !strings.HasPrefix(s, "{") {
		return value
	}
	var document map[string]any
	if json.Unmarshal([]byte(s), &document) != nil {
		return value
	}
	return document
}

func (d *differ) text(path string, value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		if d.secret && strings.HasPrefix(path, "data.") {
			sum := sha256.Sum256([]byte(v))
			return "secret " + hex.EncodeToString(sum[:])[:8]
		}
		return cmp.Or(v, `""`)
	}
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(data)
}

func asMap(value any) (map[string]any, bool) {
	switch m := value.(type) {
	case map[string]any:
		return m, true
	case map[string]string:
		copied := map[string]any{}
		for k, v := range m {
			copied[k] = v
		}
		return copied, true
	}
	return nil, false
}

func merged(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, b)
	return all
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func item(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}
