package engine

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// reasonFor is how long a replica's own word holds.
const reasonFor = 2 * time.Second

// reason is why an algorithm's replicas are not ready, in the words of one of
// them: a runner tells what its process said last (a langserver that is not
// loaded listens to nobody). No caller waits for it.
type reason struct {
	mu     sync.Mutex
	text   string
	at     time.Time
	asking bool
}

// because gives ": WORDS" when they are known, and has them asked for again
// when they are old.
func (e *Engine) because(r config.Route, why *reason) string {
	if e.watcher == nil || len(r.Endpoints) > 0 {
		return ""
	}
	why.mu.Lock()
	defer why.mu.Unlock()
	if !why.asking && time.Since(why.at) > reasonFor {
		why.asking = true
		go e.ask(r, why) // ends within a second
	}
	if why.text == "" {
		return ""
	}
	return ": " + why.text
}

func (e *Engine) ask(r config.Route, why *reason) {
	ctx, cancel := context.WithTimeout(e.background, time.Second)
	defer cancel()
	text := ""
	for _, host := range e.watcher.engines(r.Service) {
		if text = whyNotReady(ctx, net.JoinHostPort(host, strconv.Itoa(r.Port))); text != "" {
			break
		}
	}
	why.mu.Lock()
	defer why.mu.Unlock()
	why.text, why.at, why.asking = text, time.Now(), false
}

// whyNotReady gives the message of a replica that answers GET with 503.
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
	var told struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil || response.StatusCode != http.StatusServiceUnavailable || json.Unmarshal(body, &told) != nil {
		return ""
	}
	return told.Error.Message[:min(len(told.Error.Message), maxMessage)]
}
