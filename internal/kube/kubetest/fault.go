package kubetest

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fault is what befalls a request before or after the server behind has seen it.
type Fault func(w http.ResponseWriter, r *http.Request, server http.Handler)

// Refused breaks the connection, as a server does that dies: the request does
// not get there.
func Refused(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// Lost breaks the connection when the server has done what was asked.
func Lost(_ http.ResponseWriter, r *http.Request, server http.Handler) {
	server.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// Cut breaks the connection in the middle of the answer, of a watch in the
// middle of its first event.
func Cut(w http.ResponseWriter, r *http.Request, server http.Handler) {
	CutQuietly(w, r, server)
	panic(http.ErrAbortHandler)
}

// CutQuietly ends the answer in its middle as if that were its end, as behind a
// proxy that frames it anew.
func CutQuietly(w http.ResponseWriter, r *http.Request, server http.Handler) {
	defer func() {
		if cause := recover(); cause != nil && cause != errHalf { //nolint:errorlint // the very value
			panic(cause)
		}
	}()
	server.ServeHTTP(&half{w}, r)
}

// Page answers with a proxy's page.
func Page(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("<html>One moment, please…</html>"))
}

// Status answers as a server that cannot decide. With retryAfter, in seconds,
// it asks to come back; 0 does not.
func Status(code, retryAfter int, message string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		if retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		}
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
			Status: metav1.StatusFailure, Message: message, Code: int32(code)}) //nolint:gosec // an HTTP status
	}
}

// EachTwice gives every request the fault at its first, third, … try, and none
// at the others: so it befalls each request there is.
func EachTwice(fault Fault) func(n int, r *http.Request) Fault {
	tries := map[string]int{}
	return func(_ int, r *http.Request) Fault {
		key := r.Method + " " + r.URL.RequestURI()
		if tries[key]++; tries[key]%2 == 1 {
			return fault
		}
		return nil
	}
}

// half lets the first half of the first write out, and ends the answer there.
type half struct{ http.ResponseWriter }

var errHalf = errors.New("half of the answer is out")

// WriteHeader drops the length, by which a quiet cut would be seen.
func (h *half) WriteHeader(code int) {
	h.Header().Del("Content-Length")
	h.ResponseWriter.WriteHeader(code)
}

// Write writes half.
func (h *half) Write(p []byte) (int, error) {
	if _, err := h.ResponseWriter.Write(p[:len(p)/2]); err != nil {
		return 0, err
	}
	_ = http.NewResponseController(h.ResponseWriter).Flush()
	panic(errHalf)
}

// Unwrap lets an answer be flushed.
func (h *half) Unwrap() http.ResponseWriter { return h.ResponseWriter }
