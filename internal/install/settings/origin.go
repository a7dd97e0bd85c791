package settings

import (
	"maps"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/store"
	"go.yaml.in/yaml/v3"
)

// originNote notes which values files set, so that what a file no longer says is
// taken back, and what was set by hand stays.
const originNote = "work/origins.json"

// Origin is a value that a file set.
type Origin struct {
	From  string `json:"from"` // file:line
	Value string `json:"value"`
}

func originPurpose(f store.Folder) string { return "origins of " + configPurpose(f) }

// readOrigins reads which values files set; those that were changed since do not
// count any more.
func (c *File) readOrigins(f store.Folder) error {
	var noted map[string]Origin
	ours, err := f.ReadNote(originNote, originPurpose(f), &noted)
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "read where settings come from")
	}
	if !ours {
		noted = nil
	}
	maps.DeleteFunc(noted, func(key string, o Origin) bool {
		_, path, _, ok := find(key)
		return !ok || c.get(path) != o.Value
	})
	c.origins = noted
	return nil
}

// FromFiles returns the values that files set.
func (c *File) FromFiles() map[string]Origin { return maps.Clone(c.origins) }

// SetOrigins notes which files set the values of keys, in place of what was noted
// before.
func (c *File) SetOrigins(f store.Folder, from map[string]string) error {
	c.origins = map[string]Origin{}
	for key, file := range from {
		if _, path, _, ok := find(key); ok && c.get(path) != "" {
			c.origins[key] = Origin{From: file, Value: c.get(path)}
		}
	}
	err := f.WriteNote(originNote, originPurpose(f), c.origins)
	return f.NoteError(err, "note where settings come from")
}

// originOf returns where the value of a key comes from that is set.
func (c *File) originOf(key, value string) string {
	if o, ok := c.origins[key]; ok && o.Value == value {
		return o.From
	}
	return ConfigOrigin
}

// Texts calls change with each value of a configuration as it is written, and
// returns the file with what it returns in their place.
func (c *File) Texts(change func(string) string) ([]byte, error) {
	if c.document.Kind == 0 {
		return []byte("stage: {}\n"), nil // nothing is set
	}
	var walk func(n *yaml.Node) *yaml.Node
	walk = func(n *yaml.Node) *yaml.Node {
		changed := *n
		changed.Content = nil
		if n.Kind == yaml.ScalarNode {
			changed.Value = change(n.Value)
		}
		for i, inner := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 {
				changed.Content = append(changed.Content, inner)
			} else {
				changed.Content = append(changed.Content, walk(inner))
			}
		}
		return &changed
	}
	copied := &File{document: *walk(&c.document)}
	return copied.Encode()
}
