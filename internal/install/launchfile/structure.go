package launchfile

import (
	"encoding/json"

	"go.yaml.in/yaml/v3"
)

// structure reads a value that is a list or a mapping, with variables in its
// texts, and notes it as JSON.
func (p *parser) structure(name, value *yaml.Node, key string) {
	expanded, ok := p.expanded(value, key)
	if !ok {
		return
	}
	var decoded any
	err := expanded.Decode(&decoded)
	var text []byte
	if err == nil {
		text, err = json.Marshal(decoded)
	}
	if err != nil {
		p.wrong(value, "%s cannot be read: %v", key, err)
		return
	}
	p.entries = append(p.entries, Entry{Key: key, Value: string(text), From: p.at(name)})
}

// expanded returns a node with variables put into its texts.
func (p *parser) expanded(n *yaml.Node, key string) (*yaml.Node, bool) {
	if !p.plain(n) {
		return nil, false
	}
	copied := *n
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		text, err := expand(n.Value, p.Variable)
		if err == nil {
			err = secret(text)
		}
		if err != nil {
			p.wrong(n, "%s %v", key, err)
			return nil, false
		}
		copied.SetString(text)
	}
	copied.Content = nil
	for _, inner := range n.Content {
		made, ok := p.expanded(inner, key)
		if !ok {
			return nil, false
		}
		copied.Content = append(copied.Content, made)
	}
	return &copied, true
}
