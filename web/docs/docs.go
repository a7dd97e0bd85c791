// Package docs is the user guide: Markdown chapters, embedded, with this
// mothership's own address filled in.
package docs

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

//go:embed guide/*.md
var files embed.FS

// Values are what a chapter may have filled in: "{{url}}" and so on.
type Values struct {
	URL     string // of this mothership
	Host    string // its host and port, as `docker login` takes it
	FQDN    string // as stage.fqdn takes it
	Version string // of the system image, as its tag
}

// Chapter is a page of the guide.
type Chapter struct {
	Slug, Title string
	Summary     string // its first sentence, as plain text
	HTML        string
	Sections    []Section
}

// Section is a heading inside a chapter.
type Section struct{ ID, Title string }

// Guide is every chapter, in order.
type Guide struct{ Chapters []Chapter }

// New renders the guide. A chapter that cannot be rendered is a fault of this
// program, which a test would show, so it panics.
func New(v Values) *Guide {
	g, err := render(files, v)
	if err != nil {
		panic("render the user guide: " + err.Error())
	}
	return g
}

// Chapter returns the chapter of a slug, and its place in the guide; -1 when
// there is none.
func (g *Guide) Chapter(slug string) (*Chapter, int) {
	for i := range g.Chapters {
		if g.Chapters[i].Slug == slug {
			return &g.Chapters[i], i
		}
	}
	return nil, -1
}

func render(from fs.FS, v Values) (*Guide, error) {
	names, err := fs.Glob(from, "guide/*.md")
	if err != nil {
		return nil, err
	}
	fill := strings.NewReplacer("{{url}}", v.URL, "{{host}}", v.Host, "{{fqdn}}", v.FQDN, "{{version}}", v.Version)
	markdown := goldmark.New(
		goldmark.WithExtensions(extension.Table),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(&parts{}, 100))),
	)
	g := &Guide{}
	for _, name := range names {
		source, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		chapter, err := newChapter(markdown, name, []byte(fill.Replace(string(source))))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		g.Chapters = append(g.Chapters, *chapter)
	}
	return g, nil
}

var chapterName = regexp.MustCompile(`^guide/\d+-([a-z0-9-]+)\.md$`)

// newChapter takes the title from the first heading, which the page shows
// itself.
func newChapter(markdown goldmark.Markdown, name string, source []byte) (*Chapter, error) {
	match := chapterName.FindStringSubmatch(name)
	if match == nil {
		return nil, fmt.Errorf("a chapter is called NN-slug.md")
	}
	c := &Chapter{Slug: match[1]}
	document := markdown.Parser().Parse(text.NewReader(source))
	var title ast.Node
	for n := document.FirstChild(); n != nil; n = n.NextSibling() {
		switch heading, ok := n.(*ast.Heading); {
		case ok && heading.Level == 1 && title == nil:
			title, c.Title = n, plain(n, source)
		case ok && heading.Level == 2:
			id, _ := heading.AttributeString("id")
			raw, _ := id.([]byte)
			c.Sections = append(c.Sections, Section{ID: string(raw), Title: plain(n, source)})
		case n.Kind() == ast.KindParagraph && c.Summary == "":
			c.Summary = plain(n, source)
		}
	}
	if title == nil {
		return nil, fmt.Errorf("a chapter begins with a heading of level 1")
	}
	document.RemoveChild(document, title)
	var b bytes.Buffer
	if err := markdown.Renderer().Render(&b, source, document); err != nil {
		return nil, err
	}
	c.HTML = b.String()
	return c, nil
}

// plain returns a node's text.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			b.Write(t.Segment.Value(source))
			if t.SoftLineBreak() {
				b.WriteByte(' ')
			}
			continue
		}
		b.WriteString(plain(c, source))
	}
	return b.String()
}
