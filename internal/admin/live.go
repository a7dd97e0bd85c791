package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// The stream of changes: how long changes are gathered before they are sent,
// how often it shows that it lives and looks whether the session does, and how
// long a client may take to read.
const (
	liveGather  = 500 * time.Millisecond
	liveBeat    = 15 * time.Second
	liveTimeout = 30 * time.Second
	// maxStreams of a session at once: more tabs than anybody looks at.
	maxStreams = 16
)

// streams counts each session's streams.
type streams struct {
	mu sync.Mutex
	of map[string]int
}

// open counts one more; false when the session has all that it may have.
func (s *streams) open(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[session] >= maxStreams {
		return false
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.of[session]++
	return true
}

func (s *streams) close(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[session]--; s.of[session] == 0 {
		delete(s.of, session)
	}
}

// live streams which satellites changed, as server-sent events: "change" with
// a list of ids, "*" for any number of them; "bye" when the session has ended.
func (s *server) live(r *request) error {
	session := ""
	if cookie, err := r.Cookie(s.cookieName()); err == nil {
		session = cookie.Value
	}
	if !s.streams.open(session) {
		return constellation.Errorf(constellation.KindRateLimited, "%d tabs of this session follow changes already: close some, then reload this one", maxStreams)
	}
	defer s.streams.close(session)
	h := r.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx
	stream := http.NewResponseController(r.w)
	send := func(text string) bool {
		_ = stream.SetWriteDeadline(time.Now().Add(liveTimeout)) // a writer without deadlines has none to set
		_, err := fmt.Fprint(r.w, text)
		return err == nil && stream.Flush() == nil
	}
	changes := s.control.Changes(r.Context())
	if !send("retry: 2000\n\n") {
		return nil
	}
	beat := time.NewTicker(liveBeat)
	defer beat.Stop()
	var gathered []string
	var due <-chan time.Time
	for {
		text := ""
		select {
		case <-r.Context().Done():
			return nil
		case <-s.stopping:
			return nil
		case c, ok := <-changes:
			if !ok {
				return nil
			}
			if id := changed(c); id != "" && !slices.Contains(gathered, id) {
				gathered = append(gathered, id)
			}
			if due == nil && len(gathered) > 0 {
				due = time.After(liveGather)
			}
			continue
		case <-due:
			data, err := json.Marshal(gathered)
			if err != nil {
				return fmt.Errorf("encode changes: %w", err)
			}
			text, gathered, due = "event: change\ndata: "+string(data)+"\n\n", nil, nil
		case <-beat.C:
			text = ": alive\n\n"
			if _, err := s.session(r.Request); constellation.KindOf(err) == constellation.KindUnauthenticated {
				send("event: bye\ndata: {}\n\n")
				return nil
			}
		}
		if !send(text) {
			return nil
		}
	}
}

// changed returns the satellite that a change is of, "*" for many, "" for what no
// live page shows.
func changed(c control.Change) string {
	if c.Kind == control.ChangeMany {
		return "*"
	}
	return c.SatelliteID
}
