package engine

import "net/http"

// serveWeb is the algorithm-call API for pages in browsers: the same calls,
// with CORS. Calls carry a key and no cookie, so any origin may make them.
func (e *Engine) serveWeb(w http.ResponseWriter, r *http.Request, path string) {
	header := w.Header()
	header["Access-Control-Allow-Origin"] = []string{"*"}
	if r.Method == http.MethodOptions {
		header["Access-Control-Allow-Methods"] = []string{"POST, OPTIONS"}
		header["Access-Control-Allow-Headers"] = []string{"Authorization, Content-Type, Content-Encoding, X-Request-ID, Traceparent, Tracestate"}
		header["Access-Control-Max-Age"] = []string{"86400"}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	header["Access-Control-Expose-Headers"] = []string{"X-Request-ID, Retry-After, X-Constellation-Warning"}
	e.serveCall(w, r, path)
}
