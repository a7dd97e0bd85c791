package docs

import (
	"html"
	"strconv"

	"github.com/yuin/goldmark/ast"
	extension "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// parts renders what the panel shows in its own way: code as commands that
// can be copied, and tables that scroll where they have no room.
type parts struct{}

// RegisterFuncs is part of goldmark's renderer.NodeRenderer.
func (p *parts) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindFencedCodeBlock, p.code)
	r.Register(extension.KindTable, p.table)
}

// code ignores write errors, as goldmark's own renderers do: the writer is a
// buffer.
func (p *parts) code(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	id := "code-" + strconv.Itoa(n.Lines().At(0).Start) // unlike any other of the chapter
	_, _ = w.WriteString(`<div class="command"><pre id="` + id + `" tabindex="0">`)
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		_, _ = w.WriteString(html.EscapeString(string(line.Value(source))))
	}
	_, _ = w.WriteString(`</pre><button class="copy" type="button" data-copy-from="` + id +
		`" aria-label="Copy these lines"><span data-label aria-live="polite">Copy</span></button></div>`)
	return ast.WalkSkipChildren, nil
}

func (p *parts) table(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		number := 1 // in the chapter, for a name of its own
		for before := n.PreviousSibling(); before != nil; before = before.PreviousSibling() {
			if before.Kind() == extension.KindTable {
				number++
			}
		}
		_, _ = w.WriteString(`<div class="scroll" tabindex="0" role="region" aria-label="Table ` + strconv.Itoa(number) + `"><table>`)
	} else {
		_, _ = w.WriteString("</table></div>\n")
	}
	return ast.WalkContinue, nil
}
