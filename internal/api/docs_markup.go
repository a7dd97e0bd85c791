package api

import (
	"fmt"
	"html"
	"strings"
)

// markup is HTML that is being written. It stands for html/template, which calls
// methods by names that nobody knows before: with it in a program, the linker can
// leave no method out.
type markup struct{ strings.Builder }

// add writes a piece of HTML with values in it, each escaped.
func (m *markup) add(format string, values ...string) {
	escaped := make([]any, len(values))
	for i, value := range values {
		escaped[i] = html.EscapeString(value)
	}
	fmt.Fprintf(m, format, escaped...)
}

// html renders the reference's page.
func (p docsPage) html() string {
	var m markup
	for _, line := range p.Introduction {
		m.add("<p>%s</p>\n", line)
	}
	m.add(`<p class="muted">Version %s. To programs, <a href="/openapi.json">openapi.json</a> is the same.</p>`+"\n", p.Version)
	m.add(`<nav class="operations" aria-label="Operations">` + "\n")
	for _, group := range p.Groups {
		m.add("<section>\n"+`<h2><a href="#%s">%s</a></h2>`+"\n<ul>\n", group.Anchor, group.Name)
		for _, op := range group.Operations {
			m.add(`<li><a href="#%s">%s</a></li>`+"\n", op.ID, op.Summary)
		}
		m.add("</ul>\n</section>\n")
	}
	m.add("</nav>\n")
	for _, group := range p.Groups {
		m.add(`<section class="group" aria-labelledby="%s">`+"\n"+`<h2 id="%[1]s">%s</h2>`+"\n", group.Anchor, group.Name)
		for _, op := range group.Operations {
			m.operation(op)
		}
		m.add("</section>\n")
	}
	return m.String()
}

func (m *markup) operation(op docsOperation) {
	m.add(`<article class="operation" aria-labelledby="%s">`+"\n"+
		`<h3 id="%[1]s">%s <a class="anchor" href="#%[1]s" aria-label="Link to %[2]s">#</a></h3>`+"\n", op.ID, op.Summary)
	m.add(`<p><code class="route"><b>%s</b> %s</code></p>`+"\n<p>%s</p>\n", op.Method, op.Path, op.Description)
	if len(op.Parameters) > 0 {
		m.table("Parameters", op.Summary, "Name", "In")
		for _, f := range op.Parameters {
			m.add("<tr>")
			m.name(f)
			m.add("<td>%s</td><td>%s</td><td>%s</td></tr>\n", f.In, f.Type, f.Description)
		}
		m.add("</tbody>\n</table></div>\n")
	}
	if len(op.Fields) > 0 {
		m.table("Body", op.Summary, "Field")
		for _, f := range op.Fields {
			m.add("<tr>")
			m.name(f)
			m.add("<td>%s</td><td>%s</td></tr>\n", f.Type, f.Description)
		}
		m.add("</tbody>\n</table></div>\n"+`<pre tabindex="0"><code>%s</code></pre>`+"\n", op.Request)
	}
	m.add("<h4>Answer: %s</h4>\n", op.Status)
	if op.Answer != "" {
		m.add(`<pre tabindex="0"><code>%s</code></pre>`+"\n", op.Answer)
	}
	m.add("<details><summary>Failures</summary>\n<dl>\n")
	for _, failure := range op.Errors {
		m.add("<dt>%s</dt><dd>%s</dd>\n", failure.Status, failure.Meaning)
	}
	m.add("</dl>\n</details>\n</article>\n")
}

// table begins a table under a heading, with columns before type and meaning.
func (m *markup) table(heading, of string, columns ...string) {
	m.add("<h4>%s</h4>\n"+`<div class="scroll" tabindex="0" role="region" aria-label="%[1]s: %s"><table>`+"\n<thead><tr>", heading, of)
	for _, column := range append(columns, "Type", "Meaning") {
		m.add(`<th scope="col">%s</th>`, column)
	}
	m.add("</tr></thead>\n<tbody>\n")
}

func (m *markup) name(f docsField) {
	m.add("<td><code>%s</code>", f.Name)
	if f.Required {
		m.add(` <span class="required">required</span>`)
	}
	m.add("</td>")
}
