package httpserve

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// DefaultBodyLimit is the most a request's body may have, in bytes, on every
// route but the registry's.
const DefaultBodyLimit = 10 << 20

type requestIDKey struct{}

var acceptableID = regexp.MustCompile(`^[A-Za-z0-9_.-]{8,64}$`)

// RequestID assigns each request an id, that of the caller when it is a sane
// one, in the answer's header and the context.
func RequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(RequestIDHeader)
		if !acceptableID.MatchString(id) {
			id = rand.Text()
		}
		w.Header().Set(RequestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

// RequestIDOf returns the request's id, "" outside of a request.
func RequestIDOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// AccessLog writes one line a request: never a header or a query, which may
// hold keys. Probes and heartbeats that succeed are logged at debug level.
func AccessLog(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begun := time.Now()
			recorded := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				status := recorded.Status()
				if status == 0 {
					status = http.StatusOK
				}
				level := slog.LevelInfo
				if isProbe(r.URL.Path) && status < http.StatusInternalServerError || isHeartbeat(r) && status < http.StatusBadRequest {
					level = slog.LevelDebug
				}
				log.LogAttrs(r.Context(), level, "request",
					slog.String("id", RequestIDOf(r.Context())),
					slog.String("method", r.Method),
					slog.String("path", r.URL.Path),
					slog.Int("status", status),
					slog.Int("bytes", recorded.BytesWritten()),
					slog.Int64("ms", time.Since(begun).Milliseconds()),
					slog.String("address", Address(r)),
					slog.String("agent", r.UserAgent()))
			}()
			next.ServeHTTP(recorded, r)
		})
	}
}

func isProbe(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/metrics"
}

// isHeartbeat reports whether a launch reports: each does it twice a minute.
func isHeartbeat(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/") && strings.HasSuffix(r.URL.Path, "/heartbeat")
}

// Recover answers 500 with the request's id to one whose handler panics, and
// logs the stack.
func Recover(log *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			recorded := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				p := recover()
				if p == nil {
					return
				}
				if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
					panic(p)
				}
				log.ErrorContext(r.Context(), "panic in a handler", "id", RequestIDOf(r.Context()),
					"method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
				if recorded.Status() != 0 { // half an answer is out: the client must see that it breaks off
					panic(http.ErrAbortHandler)
				}
				WriteError(recorded, r, constellation.Errorf(constellation.KindInternal, "panic"))
			}()
			next.ServeHTTP(recorded, r)
		})
	}
}

// SecureHeaders sets what holds for every answer; https also asks browsers to
// stay with it.
func SecureHeaders(https bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Referrer-Policy", "no-referrer")
			if https { // over plain http browsers ignore both, and complain of the first
				h.Set("Cross-Origin-Opener-Policy", "same-origin")
				h.Set("Strict-Transport-Security", "max-age=31536000")
			}
			next.ServeHTTP(w, r)
		})
	}
}

// LimitBody refuses bodies beyond limit bytes: at once when they say their
// length, before anyone asks who sends them, else while they are read.
func LimitBody(limit int64) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > limit {
				w.Header().Set("Connection", "close")
				WriteError(w, r, constellation.Errorf(constellation.KindTooLarge,
					"the body has %d bytes; at most %d are taken", r.ContentLength, limit))
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, limit)
			next.ServeHTTP(w, r)
		})
	}
}

// Timeouts bound how long a request's body may take to arrive, and its answer
// to be taken. Routes that stream images replace both.
func Timeouts(read, write time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			BodyWithin(w, r, read)
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(write)) // a writer without deadlines, as in tests, has none to set
			next.ServeHTTP(w, r)
		})
	}
}

// BodyWithin bounds how long the request's body may take to arrive. Without a body
// there is no bound: net/http then reads on to see whether the client stays, and
// a deadline that passed there would end the context of this request and of all
// later ones of its connection.
func BodyWithin(w http.ResponseWriter, r *http.Request, within time.Duration) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(within)) // a writer without deadlines, as in tests, has none to set
	}
}

// HeadAsGet routes HEAD to GET; net/http leaves the body out. chi's own GetHead
// leaves HEAD alone where a pattern takes any method, as those of a router
// inside another do.
func HeadAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			chi.RouteContext(r.Context()).RouteMethod = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}
