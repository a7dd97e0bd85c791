package admin

import (
	"net/url"
	"strings"
)

// root is where browsers see the panel: the path of the public URL, "" for the
// root of its host. Everything in here names pages by paths from the panel's own
// root; they are turned into browsers' in one place, where an answer leaves.
type root struct {
	path  string
	links *strings.Replacer // of a page's attributes; nil at the root
}

// linking are the attributes of our pages that hold addresses. Templ writes each
// with a space before it, and no text has a quotation mark that is not escaped.
var linking = []string{"href", "src", "action", "formaction", "hx-get", "hx-post", "hx-push-url", "data-opens"}

func newRoot(publicURL string) root {
	u, err := url.Parse(publicURL)
	if err != nil || u.Path == "" {
		return root{}
	}
	b := root{path: u.Path}
	var pairs []string
	for _, name := range linking {
		open := " " + name + `="/`
		pairs = append(pairs, open, strings.TrimSuffix(open, "/")+b.path+"/")
	}
	b.links = strings.NewReplacer(pairs...)
	return b
}

// seen returns a path of ours as browsers name it; what is no path of ours stays.
func (b root) seen(target string) string {
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
		return target
	}
	return b.path + target
}

// own returns the path of ours that browsers name by an address of this host.
func (b root) own(path string) string {
	if rest, ok := strings.CutPrefix(path, b.path); ok && b.path != "" {
		return "/" + strings.TrimPrefix(rest, "/")
	}
	return path
}

// page returns a page, or a part of one, with its addresses as browsers name them.
func (b root) page(html []byte) []byte {
	if b.links == nil {
		return html
	}
	return []byte(b.links.Replace(string(html)))
}

// cookiePath returns where browsers send our cookies to.
func (b root) cookiePath() string {
	if b.path == "" {
		return "/"
	}
	return b.path
}
