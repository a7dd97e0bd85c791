package routing

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// Request is what decides where a request goes.
type Request struct {
	Method string
	Path   string // after /v1/algo/
	Raw    string // the same as it was written, percent-encoded
	Query  string
	Accept []byte // what is looked at for text/event-stream: the header, or all of them
}

// Target is where a request goes.
type Target struct {
	Route  *Route // nil is nowhere
	Passed bool   // it is passed on as it is
	Rest   string // then what of its path is the algorithm's, "" or with its first slash
}

var events = []byte("text/event-stream")

// Lookup returns where a request goes. Those of http algorithms are passed on as
// they are, but for a POST to the vanity URL itself, which is a call like every
// other unless it asks for more, or the algorithm does.
func (t *Table) Lookup(q Request) Target {
	r := t.Find(q.Path)
	if r == nil {
		r, rest := t.Below(q.Raw)
		return Target{Route: r, Passed: r != nil, Rest: rest}
	}
	to := Target{Route: r}
	if r.IsLangserver() {
		return to
	}
	if strings.HasSuffix(q.Raw, "/") {
		to.Rest = "/"
	}
	if q.Method != http.MethodPost || bytes.Contains(q.Accept, events) {
		to.Passed = true
		return to
	}
	output := ""
	if strings.Contains(q.Query, "output") {
		query, _ := url.ParseQuery(q.Query) // what it can be read of
		output = query.Get("output")
	}
	to.Passed = output == "raw" || output != "void" && r.IsNative()
	return to
}

// IsNative reports whether every request is passed on, and answered as the
// algorithm answered.
func (r *Route) IsNative() bool {
	return r.HTTP2 || r.Response == constellation.ResponseNative
}

// RefusesDurable returns why the route's calls cannot be made later, without
// their caller; nil when they can. Those go over HTTP/1.1.
func (r *Route) RefusesDurable() *protocol.Failure {
	if !r.HTTP2 {
		return nil
	}
	return protocol.Refuse(http.StatusBadRequest, r.VanityURL+" speaks HTTP/2 alone, and is called directly: output=void and batches are not available")
}

// Below returns the http algorithm with the longest vanity URL that path, as it
// was written after /v1/algo/, is below; and the rest of path, with its first
// slash. A nil route is none.
func (t *Table) Below(path string) (r *Route, rest string) {
	for at := min(len(path), constellation.MaxVanityURL+1); at > 0; {
		if at = strings.LastIndexByte(path[:at], '/'); at < 0 {
			break
		}
		if r := t.ByVanityURL[path[:at]]; r != nil && !r.IsLangserver() {
			return r, path[at:]
		}
	}
	return nil, ""
}
