package placement

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Key is one dotted key beneath stage.placement.
type Key struct {
	Who   string // a vanity URL, Engine or Queue; "" is all pods
	Field string
	Name  string // of a label and the like, in the fields that are maps; "" is the whole field
}

// IsStructured reports whether the key's value is a list or a mapping.
func (k Key) IsStructured() bool {
	f, ok := fieldOf(k.Field)
	return ok && k.Name == "" && !f.isWord()
}

// Path returns where the key is in the file.
func (k Key) Path() []string {
	path := strings.Split(Root, ".")
	for _, part := range []string{k.Who, k.Field, k.Name} {
		if part != "" {
			path = append(path, part)
		}
	}
	return path
}

// ParseKey reads a dotted key. Vanity URLs and names of labels may have dots
// and slashes: a key that starts with a field is for all pods, and else the
// first field in it ends the name of whose it is.
func ParseKey(key string) (Key, error) {
	rest, ok := strings.CutPrefix(key, Root+".")
	if !ok {
		return Key{}, fmt.Errorf("there is no setting %q; did you mean %s.%s", key, Root, fields[0].name)
	}
	parts := strings.Split(rest, ".")
	at := slices.IndexFunc(parts, func(part string) bool { _, ok := fieldOf(part); return ok })
	if at < 0 {
		return Key{}, unknownKey(parts)
	}
	k := Key{Who: strings.Join(parts[:at], "."), Field: parts[at], Name: strings.Join(parts[at+1:], ".")}
	f, _ := fieldOf(k.Field)
	switch {
	case k.Who != "" && k.Who != Engine && k.Who != Queue && !strings.Contains(k.Who, "/"):
		return k, fmt.Errorf("there are no pods %q in %s: name engine, queue or a vanity URL, or nothing for all", k.Who, key)
	case k.Name != "" && !f.isMap():
		return k, fmt.Errorf("%s has no keys beneath it: set it whole, as YAML or JSON", strings.TrimSuffix(key, "."+k.Name))
	}
	return k, nil
}

// unknownKey is the error of a key without a field.
func unknownKey(parts []string) error {
	first, where := parts[0], Root
	if len(parts) > 1 && (first == Engine || first == Queue || strings.Contains(first, "/")) {
		where, first = Root+"."+strings.Join(parts[:len(parts)-1], "."), parts[len(parts)-1]
		return unknown(where, first, Fields())
	}
	return unknown(where, first, append(Fields(), Engine, Queue))
}

// Value reads the text that a key is set to: a word, or what YAML or JSON
// writes in a line. The error is one sentence without its subject.
func (k Key) Value(text string) (any, error) {
	f, _ := fieldOf(k.Field)
	var value any = text
	if k.IsStructured() {
		var err error
		if value, err = f.structured(text); err != nil {
			return nil, err
		}
	}
	whole := value
	if k.Name != "" {
		whole = map[string]any{k.Name: text}
	}
	var p Placement
	if err := f.decode(&p, whole); err != nil {
		return nil, err
	}
	who := k.Who
	if who == "" {
		return value, nil
	}
	return value, p.checkFor(who)
}

// structured reads a list or a mapping.
func (f field) structured(text string) (any, error) {
	if !strings.ContainsAny(text[:min(1, len(text))], "[{-") && f.brief != nil {
		if value, ok := f.brief(text); ok {
			return value, nil
		}
	}
	var value any
	err := yaml.UnmarshalStrict([]byte(text), &value)
	if err != nil {
		return nil, errors.New("is no YAML or JSON: in a shell, write it in single quotes, such as '[{\"key\":\"gpu\",\"operator\":\"Exists\"}]'")
	}
	return value, nil
}

// briefMap reads KEY=VALUE with commas between them.
func briefMap(text string) (any, bool) {
	values := map[string]any{}
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return nil, false
		}
		values[key] = value
	}
	return values, true
}

// briefTolerations reads taints as kubectl writes them; "*" is every taint.
func briefTolerations(text string) (any, bool) {
	var list []any
	for part := range strings.SplitSeq(text, ",") {
		part, effect, _ := strings.Cut(strings.TrimSpace(part), ":")
		key, value, equal := strings.Cut(part, "=")
		toleration := map[string]any{"operator": string(corev1.TolerationOpExists)}
		if equal {
			toleration = map[string]any{"operator": string(corev1.TolerationOpEqual), "value": value}
		}
		if key != "*" {
			toleration["key"] = key
		}
		if effect != "" {
			toleration["effect"] = effect
		}
		list = append(list, toleration)
	}
	return list, true
}

// briefSpread reads topology keys: evenly over each, where that is possible.
func briefSpread(text string) (any, bool) {
	var list []any
	for part := range strings.SplitSeq(text, ",") {
		list = append(list, map[string]any{"maxSkew": int64(1), "topologyKey": strings.TrimSpace(part), "whenUnsatisfiable": string(corev1.ScheduleAnyway)})
	}
	return list, true
}

// ParseLabels reads labels as a terminal writes them, KEY=VALUE with commas
// between them. None may be one by which a launch's objects are known.
func ParseLabels(text string) (map[string]string, error) {
	values, ok := briefMap(text)
	if !ok {
		return nil, errors.New("has labels as KEY=VALUE with commas between them, such as team=ml,stage=prod")
	}
	labels := map[string]string{}
	for key, value := range values.(map[string]any) {
		labels[key] = value.(string)
	}
	return labels, ownLabels(labels)
}
