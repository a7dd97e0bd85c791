package settings

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/constellation-serving/constellation/internal/kube/placement"
)

// placementTable is the part of the table beneath stage.placement: each key for
// all pods, and for those of an algorithm, of the engine or of the queue.
func placementTable() []setting {
	var list []setting
	for _, of := range []string{"", ".<vanity>"} {
		for _, name := range placement.Fields() {
			s := placementSetting(placement.Key{Field: name})
			about, isMap := placement.About(name)
			if s.about = about; of != "" {
				s.about += "; of one algorithm, engine or queue"
			}
			if s.key = placement.Root + of + "." + name; isMap {
				s = placementSetting(placement.Key{Field: name, Name: "example.com/on"})
				s.key, s.about = placement.Root+of+"."+name+".<name>", about
			}
			list = append(list, s)
		}
	}
	return list
}

// placementSetting is the setting of a key beneath stage.placement.
func placementSetting(k placement.Key) setting {
	s := setting{key: strings.Join(k.Path(), "."), text: true, check: func(text string) (string, error) {
		_, err := k.Value(text)
		return text, err
	}}
	switch choices := placement.Choices(k.Field); {
	case choices != nil:
		s.check = oneOf(choices...)
	case k.IsStructured():
		s.node = func(text string) (*yaml.Node, error) {
			value, err := k.Value(text)
			if err != nil {
				return nil, err
			}
			node := &yaml.Node{}
			return node, node.Encode(value)
		}
	}
	return s
}

// findPlacement is find for a key beneath stage.placement.
func findPlacement(key string) (s setting, path []string, chosen string, ok bool) {
	k, err := placement.ParseKey(key)
	if err != nil {
		return setting{}, nil, "", false
	}
	s = placementSetting(k)
	if k.Who != "" && k.Who != placement.Engine && k.Who != placement.Queue {
		s.key, chosen = placement.Root+".<vanity>", k.Who
	}
	return s, k.Path(), chosen, true
}

// IsStructured reports whether a key's value may be a list or a mapping.
func IsStructured(key string) bool {
	s, _, _, ok := find(key)
	return ok && s.node != nil
}

// isMap reports whether a key is a whole mapping, whose entries have keys of
// their own.
func isMap(key string) bool {
	k, err := placement.ParseKey(key)
	if err != nil || k.Name != "" {
		return false
	}
	_, is := placement.About(k.Field)
	return is
}

// placementValues lists what is set beneath stage.placement, a map's entries
// one by one.
func (c *File) placementValues() []Value {
	var list []Value
	for _, key := range slices.Sorted(maps.Keys(c.Stage.Placement)) {
		inner, ok := c.Stage.Placement[key].(map[string]any)
		if isField := slices.Contains(placement.Fields(), key); isField || !ok {
			list = append(list, c.fieldValues(placement.Key{Field: key})...)
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(inner)) {
			list = append(list, c.fieldValues(placement.Key{Who: key, Field: name})...)
		}
	}
	return list
}

func (c *File) fieldValues(k placement.Key) []Value {
	keys := []placement.Key{k}
	at := any(c.Stage.Placement)
	for _, part := range k.Path()[2:] {
		at = at.(map[string]any)[part] // it was found there
	}
	if _, isMap := placement.About(k.Field); isMap {
		if inner, ok := at.(map[string]any); ok {
			keys = nil
			for _, name := range slices.Sorted(maps.Keys(inner)) {
				keys = append(keys, placement.Key{Who: k.Who, Field: k.Field, Name: name})
			}
		}
	}
	var list []Value
	for _, k := range keys {
		list = append(list, Value{strings.Join(k.Path(), "."), c.get(k.Path()), "set", c.originOf(strings.Join(k.Path(), "."), c.get(k.Path()))})
	}
	return list
}
