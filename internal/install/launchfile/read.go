package launchfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/terminal"
)

// Limits of what is read.
const (
	MaxSize     = 1 << 20 // bytes of a file
	maxProblems = 20      // that are named of all files
)

// Entry is a value of a file.
type Entry struct {
	Key   string `json:"key"`
	Value string `json:"value"` // "" takes back what was set
	From  string `json:"from"`  // file:line
}

// Reader reads files.
type Reader struct {
	Variable func(name string) (value string, ok bool) // of the environment
	Stdin    io.Reader                                 // of the file "-"
}

// Read returns what all files say, in their order. The error names whatever is
// wrong in any of them, by file and line.
func (r Reader) Read(files []string) ([]Entry, error) {
	var all []Entry
	var problems []string
	for _, name := range files {
		p := &parser{Reader: r, name: shortName(name), folder: filepath.Dir(name)}
		data, err := r.load(name)
		if err != nil {
			return nil, fault.Wrap(err, fault.CodeUsage, "read %s", p.name)
		}
		p.parse(data)
		all, problems = append(all, p.entries...), append(problems, p.problems...)
	}
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems], fmt.Sprintf("and %d more", more))
	}
	if len(problems) > 0 {
		return nil, fault.Errorf(fault.CodeUsage, "%s; nothing was changed", strings.Join(problems, "\n"))
	}
	return all, nil
}

// shortName is how a file is called in what is said of it.
func shortName(name string) string {
	if name == "-" {
		return "stdin"
	}
	return terminal.OneLine(name)
}

func (r Reader) load(name string) ([]byte, error) {
	in := r.Stdin
	if name != "-" {
		file, err := os.Open(name)
		if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
			return nil, pathError.Err // without the path again
		}
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		if info, err := file.Stat(); err == nil && info.IsDir() {
			return nil, errors.New("it is a folder, and a file is wanted")
		}
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, MaxSize+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > MaxSize:
		return nil, fmt.Errorf("it is larger than %d KiB, and no configuration is", MaxSize>>10)
	case !utf8.Valid(data):
		return nil, errors.New("it is not UTF-8 text")
	}
	return data, nil
}

// parser reads one file.
type parser struct {
	Reader
	name     string
	folder   string // that paths in it begin at
	entries  []Entry
	problems []string
}

func (p *parser) wrong(n *yaml.Node, format string, args ...any) {
	p.problems = append(p.problems, p.at(n)+": "+fmt.Sprintf(format, args...))
}

func (p *parser) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", p.name, n.Line) }

func (p *parser) parse(data []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return // it says nothing
	}
	if err == nil {
		if err = decoder.Decode(&second); err == nil {
			p.wrong(&second, "a second document begins here; a configuration is one")
			return
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		p.problems = append(p.problems, p.name+" is not YAML: "+terminal.OneLine(strings.TrimPrefix(err.Error(), "yaml: ")))
		return
	}
	p.group(document.Content[0], nil)
}

// group reads what stands below a path.
func (p *parser) group(n *yaml.Node, path []string) {
	switch {
	case !p.plain(n), n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		return // an empty group says nothing
	case n.Kind != yaml.MappingNode:
		p.wrong(n, "%s stands where a group of settings belongs, KEY: VALUE below each other%s", described(n), below(path))
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if !p.plain(name) {
			continue
		}
		if name.Kind != yaml.ScalarNode {
			p.wrong(name, "%s stands where a setting's name belongs", described(name))
			continue
		}
		if line, twice := lines[name.Value]; twice {
			p.wrong(name, "%q stands here again, and in line %d", name.Value, line)
			continue
		}
		lines[name.Value] = name.Line
		p.setting(name, value, append(path[:len(path):len(path)], name.Value))
	}
}

// setting reads what stands at a path.
func (p *parser) setting(name, value *yaml.Node, path []string) {
	key, place := settings.At(path)
	switch place {
	case settings.Group:
		p.group(value, path)
		return
	case settings.Nowhere:
		p.wrong(name, "there is no setting %q; did you mean %s", key, settings.NearestKey(key))
		return
	}
	if !p.plain(value) {
		return
	}
	if value.Kind != yaml.ScalarNode && settings.IsStructured(key) {
		p.structure(name, value, key)
		return
	}
	if value.Kind != yaml.ScalarNode {
		p.wrong(value, "%s stands where one value belongs, that of %s", described(value), key)
		return
	}
	if value.ShortTag() == "!!null" {
		p.entries = append(p.entries, Entry{Key: key, From: p.at(name)})
		return
	}
	text, err := expand(value.Value, p.Variable)
	if err == nil {
		err = secret(text)
	}
	if err != nil {
		p.wrong(value, "%s %v", key, err)
		return
	}
	if settings.NamesFile(key) {
		text = p.fromFolder(text)
	}
	p.entries = append(p.entries, Entry{Key: key, Value: strings.TrimSpace(text), From: p.at(name)})
}

// fromFolder makes paths begin at the file that names them.
func (p *parser) fromFolder(value string) string {
	paths := filepath.SplitList(value)
	for i, path := range paths {
		if path != "" && !filepath.IsAbs(path) && !strings.HasPrefix(path, "~/") && !strings.Contains(path, "://") {
			paths[i] = filepath.Join(p.folder, path)
		}
	}
	return strings.Join(paths, string(filepath.ListSeparator))
}

// plain refuses anchors, aliases and tags: with them a few lines stand for more
// than a machine can hold, or for other than they seem.
func (p *parser) plain(n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		p.wrong(n, "anchors and aliases (&, *) are not taken; write the value where it belongs, or give several --file")
	case n.Style&yaml.TaggedStyle != 0:
		p.wrong(n, "tags such as %s are not taken", terminal.OneLine(n.Tag))
	default:
		return true
	}
	return false
}

func described(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a group of settings"
	}
	return "one value"
}

func below(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return " " + strings.Join(path, ".")
}
