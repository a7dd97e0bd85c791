package operate

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Disk is what one node of a queue has on its disk, as itself knows it.
type Disk struct {
	Node string `json:"node"`
	// Complete says that it had once all that was to be had. A disk without that
	// is empty, or being filled.
	Complete bool   `json:"complete"`
	Running  bool   `json:"running"`
	Reason   string `json:"reason,omitempty"` // why it is not ready
	// Rescue names the node that it is to be filled from, the others' disks being
	// given up.
	Rescue  string       `json:"rescue,omitempty"`
	Streams []DiskStream `json:"streams,omitempty"`
}

// DiskStream is one stream on a node's disk.
type DiskStream struct {
	Name     string    `json:"name"`
	Messages uint64    `json:"messages"`
	Last     uint64    `json:"last"` // highest number that it has seen
	LastAt   time.Time `json:"last_at"`
	Bytes    uint64    `json:"bytes"`
}

// QueueNode is a node of the queue as its operator sees it.
type QueueNode interface {
	Disk() Disk
	// Rescue has an empty node filled from survivor, which alone has something.
	Rescue(ctx context.Context, survivor string) error
}

// NodeOptions are what a node's routes answer with.
type NodeOptions struct {
	Token string // the launch's, as in its file
	Node  QueueNode
	Log   *slog.Logger
}

// NodeHandler returns what answers under Path of a node.
func NodeHandler(o NodeOptions) http.Handler {
	s := &routes{Options: Options{Log: o.Log, Token: strings.TrimSpace(o.Token), Now: time.Now}}
	s.challenger = newChallenger(s.Token, s.Now)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path+"challenge", s.challenge)
	mux.HandleFunc("GET "+Path+"disk", s.admitted(func(w http.ResponseWriter, _ *http.Request) error {
		answer(w, http.StatusOK, o.Node.Disk())
		return nil
	}))
	mux.HandleFunc("POST "+Path+"rescue", s.admitted(func(w http.ResponseWriter, r *http.Request) error {
		var in rescueRequest
		if err := decode(r, &in); err != nil {
			return err
		}
		if err := o.Node.Rescue(r.Context(), in.From); err != nil {
			return err
		}
		answer(w, http.StatusOK, o.Node.Disk())
		return nil
	}))
	return mux
}

// rescueRequest names the node that has something.
type rescueRequest struct {
	From string `json:"from"`
}

// Disk returns what a node has on its disk.
func (c *Client) Disk(ctx context.Context) (d Disk, err error) {
	return d, c.json(ctx, http.MethodGet, "disk", nil, &d)
}

// Rescue has a node whose disk is empty filled from another one, and gives up what
// other disks had.
func (c *Client) Rescue(ctx context.Context, from string) (d Disk, err error) {
	return d, c.json(ctx, http.MethodPost, "rescue", rescueRequest{from}, &d)
}
