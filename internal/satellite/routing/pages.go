package routing

import "net/http"

// Pages in browsers call algorithms too. Calls carry a key and no cookie, so
// pages of any origin may make them.

// AllowPages says in an answer's header that pages of every origin may read it.
func AllowPages(h http.Header) {
	h["Access-Control-Allow-Origin"] = []string{"*"}
	h["Access-Control-Expose-Headers"] = []string{"X-Request-ID, Retry-After, X-Constellation-Warning"}
}

// AllowCalls says in the answer to a browser's preflight request what a page may
// send to a route, nil for none: to an http algorithm, which is passed every
// method and header, all that it may serve.
func AllowCalls(h http.Header, r *Route) {
	methods, headers := "POST, OPTIONS", "Authorization, Content-Type, Content-Encoding, X-Request-ID, Idempotency-Key, X-Callback-URL, Traceparent, Tracestate"
	if r != nil && !r.IsLangserver() {
		methods, headers = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", "Authorization, *" // * is every other one
	}
	h["Access-Control-Allow-Origin"] = []string{"*"}
	h["Access-Control-Allow-Methods"] = []string{methods}
	h["Access-Control-Allow-Headers"] = []string{headers}
	h["Access-Control-Max-Age"] = []string{"86400"}
}
