package probe

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// reasonFor is how long a replica's own words hold.
	reasonFor     = 2 * time.Second
	reasonTimeout = time.Second
	maxReason     = 4 << 10
	maxBody       = 64 << 10
)

// Reason is why an algorithm's replicas are not ready, in the words of one of
// them: a runner tells what its process said last (a langserver that is not
// loaded listens to nobody). No caller waits for it. The zero value is a reason
// that is not known yet.
type Reason struct {
	mu     sync.Mutex
	text   string
	at     time.Time
	asking bool
}

// Text returns the reason as far as it is known, "" while it is not. When it is
// old, the replicas are asked again, until ctx ends.
func (r *Reason) Text(ctx context.Context, replicas func() []string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asking && time.Since(r.at) > reasonFor {
		r.asking = true
		go r.ask(ctx, replicas) // ends within reasonTimeout
	}
	return r.text
}

func (r *Reason) ask(ctx context.Context, replicas func() []string) {
	ctx, cancel := context.WithTimeout(ctx, reasonTimeout)
	defer cancel()
	text := ""
	for _, addr := range replicas() {
		if text = whyNotReady(ctx, addr); text != "" {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text, r.at, r.asking = text, time.Now(), false
}

// whyNotReady returns the message of a replica that answers GET with 503.
func whyNotReady(ctx context.Context, addr string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return ""
	}
	request.Close = true
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close() //nolint:errcheck // read only
	var answer struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil || response.StatusCode != http.StatusServiceUnavailable || json.Unmarshal(body, &answer) != nil {
		return ""
	}
	return answer.Error.Message[:min(len(answer.Error.Message), maxReason)]
}
