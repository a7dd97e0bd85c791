package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Change says that something may look different now: read it again. Kind is
// the audit log's kind of target ("satellite", "launch", "satellite_key", …),
// with ID its id and SatelliteID the satellite it is of, "" for what is of
// none; or ChangeMany.
type Change struct {
	Kind, ID, SatelliteID string
}

// ChangeMany is the Kind of a Change that stands for any number of others.
const ChangeMany = "many"

// changeBuffer is how many changes a subscriber may be behind before it gets
// one ChangeMany in place of the rest.
const changeBuffer = 64

// feed sends changes to subscribers.
type feed struct {
	mu          sync.Mutex
	subscribers map[chan Change]bool // whether it is behind
}

func newFeed() *feed { return &feed{subscribers: map[chan Change]bool{}} }

// Changes returns what changes from now on, on this server or another, until
// ctx ends; then it is closed. It needs Run. A subscriber that falls behind
// gets a ChangeMany.
func (s *Service) Changes(ctx context.Context) <-chan Change {
	f, ch := s.memory.feed, make(chan Change, changeBuffer)
	f.mu.Lock()
	f.subscribers[ch] = false
	f.mu.Unlock()
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subscribers, ch)
		close(ch)
	})
	return ch
}

func (f *feed) publish(c Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ch, behind := range f.subscribers {
		if behind {
			// The one place that is kept free for this.
			if len(ch) > changeBuffer/2 {
				continue
			}
			f.subscribers[ch] = false
		}
		if len(ch) == cap(ch)-1 {
			f.subscribers[ch] = true
			ch <- Change{Kind: ChangeMany}
			continue
		}
		ch <- c
	}
}

// notification is what servers tell each other.
type notification struct {
	Kind        string      `json:"k"`
	ID          string      `json:"i,omitempty"`
	SatelliteID string      `json:"s,omitempty"`
	Launches    [][2]string `json:"l,omitempty"` // id and satellite's id
}

// notify notifies every server of a change, once its transaction commits.
func (s *Service) notify(ctx context.Context, n notification) error {
	data, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode notification: %w", err)
	}
	return s.db.Notify(ctx, string(data))
}

// notifyLaunches notifies of launches whose state changed.
func (s *Service) notifyLaunches(ctx context.Context, launches []launchRef) error {
	if len(launches) > manyLaunches {
		return s.notify(ctx, notification{Kind: "launches"})
	}
	for part := range slices.Chunk(launches, maxNotifyIDs) {
		n := notification{Kind: "launches"}
		for _, l := range part {
			n.Launches = append(n.Launches, [2]string{l.launchID, l.satelliteID})
		}
		if err := s.notify(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// receive takes a notification of this server or another.
func (s *Service) receive(payload string) {
	var n notification
	if err := json.Unmarshal([]byte(payload), &n); err != nil { // of another program on this database
		return
	}
	switch {
	case n.Kind == "launches" && len(n.Launches) == 0:
		s.memory.feed.publish(Change{Kind: ChangeMany})
	case n.Kind == "launches":
		for _, l := range n.Launches {
			s.memory.feed.publish(Change{Kind: "launch", ID: l[0], SatelliteID: l[1]})
		}
	default:
		if n.SatelliteID != "" {
			s.memory.heartbeats.evict(n.SatelliteID)
		}
		s.memory.feed.publish(Change{Kind: n.Kind, ID: n.ID, SatelliteID: n.SatelliteID})
	}
}

// notificationOf is the notification of an audit row to other servers.
func notificationOf(t target, views ...any) notification {
	n := notification{Kind: t.kind, ID: strings.ToValidUTF8(t.id[:min(len(t.id), 200)], "")}
	if t.kind == "satellite" {
		n.SatelliteID = t.id
		return n
	}
	for _, view := range views {
		switch view := view.(type) {
		case launchView:
			n.SatelliteID = view.SatelliteID
		case commandView:
			n.SatelliteID = view.SatelliteID
		case keyView:
			if t.kind == "satellite_key" {
				n.SatelliteID = view.SatelliteID
			}
		}
	}
	return n
}
