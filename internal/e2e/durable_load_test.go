package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// storeEvery is how often the soak makes a call that is stored.
const storeEvery = 500 * time.Millisecond

// storedCalls are calls that were accepted, and outlive everything that is killed.
type storedCalls struct {
	l *load

	mu       sync.Mutex
	want     map[string]any // by request id
	retries  int            // attempts that were not known to be accepted
	problems []string
}

// newStoredCalls makes calls to be stored, until the load ends.
func newStoredCalls(ctx context.Context, l *load) *storedCalls {
	s := &storedCalls{l: l, want: map[string]any{}}
	l.coming.Go(func() {
		tick := time.NewTicker(storeEvery)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-l.ending:
				return
			case <-tick.C:
				l.coming.Go(func() { s.store(context.WithoutCancel(ctx), n) })
			}
		}
	})
	return s
}

// store has one call accepted, however often it takes: the key of idempotency
// makes one call of all attempts.
func (s *storedCalls) store(ctx context.Context, n int) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	body, want := sleepy(n)
	for {
		status, answer := s.ask(ctx, http.MethodPost, "/v1/algo/mix/hello?output=void", string(body), fmt.Sprintf("stored-%d", n))
		var accepted struct {
			Async     string `json:"async"`
			RequestID string `json:"request_id"`
		}
		switch {
		case status == 200 && json.Unmarshal([]byte(answer), &accepted) == nil && accepted.Async == "void" && accepted.RequestID != "":
			s.mu.Lock()
			s.want[accepted.RequestID] = want
			s.mu.Unlock()
			return
		case status != 0 && status != 429 && status < 502:
			s.problem("stored call %d = %d %.200s", n, status, answer)
			return
		}
		s.mu.Lock()
		s.retries++
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			s.problem("call %d is not stored within 5 minutes: %d %.200s", n, status, answer)
			return
		case <-time.After(time.Second):
		}
	}
}

func (s *storedCalls) problem(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

// ask makes one request; its status is 0 where none is known.
func (s *storedCalls) ask(ctx context.Context, method, path, body, idempotency string) (int, string) {
	request, err := http.NewRequestWithContext(ctx, method, s.l.j.Cluster.IngressURL+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	request.Header.Set("Authorization", "Simple "+s.l.j.key)
	request.Header.Set("Content-Type", "application/json")
	if idempotency != "" {
		request.Header.Set("Idempotency-Key", idempotency)
	}
	response, err := s.l.client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(answer)
}

// check wants the right result of every call that was accepted.
func (s *storedCalls) check(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for id, want := range s.want {
		for {
			status, answer := s.ask(ctx, http.MethodGet, "/v1/async/"+id+"/result?wait=30", "", "")
			if ctx.Err() == nil && (status == 0 || status == 202 || status >= 502) {
				continue
			}
			var got struct{ Result any }
			if err := json.Unmarshal([]byte(answer), &got); status != 200 || err != nil || fmt.Sprint(got.Result) != fmt.Sprint(want) {
				s.problem("the result of %s = %d %.200s, want %v", id, status, answer, want)
			}
			break
		}
	}
	t.Logf("%d calls were stored, with %d attempts more than that", len(s.want), s.retries)
	if len(s.want) == 0 {
		t.Error("no call was stored")
	}
	for _, problem := range s.problems[:min(len(s.problems), 20)] {
		t.Error(problem)
	}
}
