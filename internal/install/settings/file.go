package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/store"
	"go.yaml.in/yaml/v3"
)

// File is the launch's configuration with the operator's comments.
type File struct {
	document yaml.Node
	origins  map[string]Origin // of the values that files set
	Config
}

// Read reads config.yaml; one that is not there has the defaults, and one
// that the operator of this machine did not set is refused.
func Read(f store.Folder) (*File, error) {
	c, err := Parse(f)
	if err != nil {
		return nil, err
	}
	if ours, err := c.IsAccepted(f); err != nil {
		return nil, err
	} else if !ours {
		return nil, notAccepted(f)
	}
	return c, nil
}

// Parse reads config.yaml as Read does, whether or not the operator of this machine
// set it.
func Parse(f store.Folder) (*File, error) {
	path := Path(f)
	c := &File{Config: defaultConfig()}
	data, err := f.ReadFile("config.yaml")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, fault.Wrap(err, fault.CodeFailed, "read the configuration")
	}
	if err := yaml.Unmarshal(data, &c.document); err != nil {
		return nil, handEdited(path, err)
	}
	if err := c.Reload(data); err != nil {
		return nil, handEdited(path, err)
	}
	return c, c.readOrigins(f)
}

// Reload reads the values that data, the file as it is written, has.
func (c *File) Reload(data []byte) error {
	c.Config = defaultConfig()
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c.Config); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// set writes a value at a path, "" removing it; comments stay.
func (c *File) set(path []string, value string, isText bool) {
	if value == "" {
		c.put(path, nil)
		return
	}
	scalar := yaml.Node{Kind: yaml.ScalarNode, Value: value}
	if isText {
		scalar.SetString(value)
	}
	c.put(path, &scalar)
}

// put writes a node at a path, nil removing what is there; comments stay.
func (c *File) put(path []string, node *yaml.Node) {
	if c.document.Kind == 0 {
		c.document = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	at := c.document.Content[0]
	if at.Kind != yaml.MappingNode {
		*at = yaml.Node{Kind: yaml.MappingNode, HeadComment: at.HeadComment}
	}
	for _, key := range path[:len(path)-1] {
		next := child(at, key)
		if next == nil || next.Kind != yaml.MappingNode {
			if node == nil {
				return
			}
			removeChild(at, key)
			next = &yaml.Node{Kind: yaml.MappingNode}
			at.Content = append(at.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, next)
		}
		at = next
	}
	key := path[len(path)-1]
	if node == nil {
		removeChild(at, key)
		return
	}
	if old := child(at, key); old != nil {
		node.LineComment, node.HeadComment, node.FootComment = old.LineComment, old.HeadComment, old.FootComment
		*old = *node
		return
	}
	at.Content = append(at.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, node)
}

func child(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

func removeChild(mapping *yaml.Node, key string) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content = append(mapping.Content[:i:i], mapping.Content[i+2:]...)
			return
		}
	}
}

// get returns what the file says at a path, "" when it says nothing.
func (c *File) get(path []string) string {
	if c.document.Kind == 0 {
		return ""
	}
	at := c.document.Content[0]
	for _, key := range path {
		if at = child(at, key); at == nil {
			return ""
		}
	}
	return inLine(at)
}

// inLine returns a value in one line: more than a word as JSON.
func inLine(node *yaml.Node) string {
	if node.Kind == yaml.ScalarNode {
		return node.Value
	}
	var value any
	if node.Decode(&value) != nil {
		return node.Value
	}
	data, err := json.Marshal(value)
	if err != nil {
		return node.Value
	}
	return string(data)
}

// Encode returns the file as it is written.
func (c *File) Encode() ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(&c.document); err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write the configuration")
	}
	return b.Bytes(), nil
}
