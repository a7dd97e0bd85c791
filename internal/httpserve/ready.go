package httpserve

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Check is one part that must work before the server takes requests. An
// Optional one is only reported: the rest works without it.
type Check struct {
	Name     string
	Run      func(context.Context) error
	Optional bool
}

// Readiness answers /readyz from its checks. The zero value has none.
type Readiness struct {
	checks   []Check
	stopping atomic.Bool
}

// Set installs the checks, which are answered in order; it comes before the
// first request.
func (rd *Readiness) Set(checks ...Check) { rd.checks = checks }

// Stopping makes the answer 503 from now on, so that load balancers look
// elsewhere while the last requests finish.
func (rd *Readiness) Stopping() { rd.stopping.Store(true) }

// checkTimeout bounds one check: a probe must not hang.
const checkTimeout = 2 * time.Second

type partAnswer struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
}

type readyAnswer struct {
	Ready  bool         `json:"ready"`
	Reason string       `json:"reason,omitempty"`
	Checks []partAnswer `json:"checks"`
}

// ServeHTTP answers 200, or 503 with the parts that are not ready and why.
func (rd *Readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := readyAnswer{Ready: true, Checks: rd.run(r.Context())}
	for i, part := range answer.Checks {
		if !part.Ready && !rd.checks[i].Optional {
			answer.Ready, answer.Reason = false, part.Name+": "+part.Reason
			break
		}
	}
	if rd.stopping.Load() {
		answer.Ready, answer.Reason = false, "the server is stopping"
	}
	status := http.StatusOK
	if !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client is gone: nobody to tell
}

func (rd *Readiness) run(ctx context.Context) []partAnswer {
	parts := make([]partAnswer, len(rd.checks))
	var wg sync.WaitGroup
	for i, check := range rd.checks {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			parts[i] = partAnswer{Name: check.Name, Ready: true}
			if err := check.Run(ctx); err != nil {
				parts[i].Ready, parts[i].Reason = false, reason(err)
				slog.DebugContext(ctx, "not ready", "check", check.Name, "error", err)
			}
		})
	}
	wg.Wait()
	return parts
}

// reason is what anyone may read of err.
func reason(err error) string {
	var e *constellation.Error
	switch {
	case errors.As(err, &e) && e.Kind != constellation.KindInternal:
		return e.Message
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer within " + checkTimeout.String()
	}
	return "not working; the server's log says why"
}

// Healthz answers 200 as long as the process serves at all.
func Healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // the client is gone: nobody to tell
}
