package node

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A node with an empty disk must not help to elect a leader that has nothing:
// two such would be a majority, and what the third still has would be gone. So
// it starts only if both others have what is to be had, or if none of the
// three has anything, which is the queue's first start. A node of that start
// lacks nothing from its beginning on, but is no witness that there was more
// than a beginning.

const (
	// completeFile is there when the node has all that the queue stores, or
	// catches up with no more than its peers have. It says since when.
	completeFile = "complete"
	sinceFirst   = "first"    // the queue's first start
	sinceFilled  = "complete" // it was ready once
	// completeAfter is how many looks in a row find a node ready before it
	// counts as one that has everything.
	completeAfter = 3
	peerPath      = "/peer"
	maxNonce      = 64
)

var peerClient = &http.Client{Timeout: 3 * time.Second}

// peerState is what a node tells another of its disk.
type peerState struct {
	Name string `json:"name"`
	// Has is sinceFirst, sinceFilled, or "" for a disk that lacks something.
	Has string `json:"has"`
	// Ready says that its log is current.
	Ready bool `json:"ready"`
	// Damaged says that what it has, or has set aside, lacks what could not be read.
	Damaged bool   `json:"damaged,omitempty"`
	Sum     string `json:"sum"`
}

// has returns what is known of the node's disk.
func (n *Node) has() string {
	text, err := os.ReadFile(filepath.Join(n.opts.Dir, completeFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func (n *Node) mark(has string) error {
	return writeSynced(filepath.Join(n.opts.Dir, completeFile), []byte(has+"\n"))
}

// markComplete is called every second; ready says that the node is.
func (n *Node) markComplete(ready bool) {
	if !ready {
		n.readyLooks = 0
		return
	}
	if n.readyLooks++; n.readyLooks != completeAfter || n.has() == sinceFilled && !n.isDamaged() {
		return
	}
	if err := n.mark(sinceFilled); err != nil {
		n.readyLooks = 0
		n.opts.Log.Warn("mark the queue's node as complete", "error", err)
		return
	}
	n.filled()
}

// admit waits until this node may start.
func (n *Node) admit(ctx context.Context) error {
	if len(n.opts.Peers) == 0 || n.has() != "" {
		return nil
	}
	_, port, err := net.SplitHostPort(n.healthAddress())
	if err != nil {
		return errors.New("a queue node with peers needs an address for probes: the others ask there whether its disk is empty")
	}
	for said := ""; ; {
		why, err := n.mayStart(ctx, port)
		if err == nil && why == "" && n.isAside() {
			err = n.leaveRoom()
		}
		if err != nil || why == "" {
			return err
		}
		n.mu.Lock()
		n.waits = why
		n.mu.Unlock()
		if why != said {
			n.opts.Log.Warn("the queue's node waits", "node", n.opts.Name, "reason", why)
			said = why
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start the queue node: %s: %w", why, ctx.Err())
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// others is what the two other nodes say of their disks.
type others struct {
	filled  string // one that has had everything once
	whole   int    // of such, and nothing is damaged
	lacking int    // without everything
	damaged bool   // one is
	behind  []string
}

// mayStart returns "", or what the node waits for.
func (n *Node) mayStart(ctx context.Context, port string) (string, error) {
	state := "this node's disk is empty"
	if n.isAside() {
		state = "this node's disk is damaged"
	}
	var o others
	for _, peer := range n.opts.Peers {
		host, _, err := net.SplitHostPort(peer)
		if err != nil {
			return "", err
		}
		s, err := n.askPeer(ctx, net.JoinHostPort(host, port))
		if err != nil {
			return fmt.Sprintf("%s, and %s does not say what it has: %v", state, host, err), nil
		}
		if s.Name != n.opts.Name {
			o.hear(s, host)
		}
	}
	switch {
	case o.whole == 0 && n.isAside():
		return "", n.takeBack(ctx)
	case o.lacking > 0 && o.filled != "" && n.rescued() == o.filled:
		return "", nil
	case o.whole == 0 && o.damaged:
		return state + ", and another's is damaged: it waits until that node goes on with what it has", nil
	case o.whole == 0:
		return "", n.mark(sinceFirst)
	case o.lacking > 0:
		return state + ", and so is another's: there is no majority that has what was accepted. " +
			"Bring the other disk back. If it is gone for good, 'queue rescue' goes on with what the third one has, and tells what is lost", nil
	case len(o.behind) > 0:
		// Only beside a leader that has everything is an empty voter harmless.
		return fmt.Sprintf("%s, and %s are not ready to fill it", state, strings.Join(o.behind, ", ")), nil
	}
	return "", nil
}

// hear takes in what another node says.
func (o *others) hear(s peerState, host string) {
	if s.Has == sinceFilled {
		o.filled = s.Name
	}
	if s.Has == sinceFilled && !s.Damaged {
		o.whole++
	}
	if s.Has == "" {
		o.lacking++
	}
	o.damaged = o.damaged || s.Damaged
	if !s.Ready {
		o.behind = append(o.behind, host)
	}
}

// askPeer asks another node what it has. Who does not have the secret is not believed.
func (n *Node) askPeer(ctx context.Context, address string) (peerState, error) {
	nonce := rand.Text()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+peerPath+"?nonce="+url.QueryEscape(nonce), nil)
	if err != nil {
		return peerState{}, err
	}
	answer, err := peerClient.Do(r)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err // without the address, whose nonce makes a new reason of each
		}
		return peerState{}, err
	}
	defer answer.Body.Close()
	var s peerState
	if err := json.NewDecoder(io.LimitReader(answer.Body, 4096)).Decode(&s); err != nil {
		return peerState{}, err
	}
	if !hmac.Equal([]byte(s.Sum), []byte(n.peerSum(nonce, s))) {
		return peerState{}, errors.New("it has another token")
	}
	return s, nil
}

func (n *Node) peerSum(nonce string, s peerState) string {
	mac := hmac.New(sha256.New, []byte(n.credentials.Node.Password))
	_, _ = mac.Write([]byte(nonce + "\n" + s.Name + "\n" + s.Has + "\n" + strconv.FormatBool(s.Ready)))
	if s.Damaged { // what older nodes never say
		_, _ = mac.Write([]byte("\ndamaged"))
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// answerPeer tells another node what this one has.
func (n *Node) answerPeer(w http.ResponseWriter, r *http.Request) {
	nonce := r.URL.Query().Get("nonce")
	if nonce == "" || len(nonce) > maxNonce {
		http.Error(w, "a nonce is missing", http.StatusBadRequest)
		return
	}
	s := peerState{Name: n.opts.Name, Has: n.has(), Ready: n.Ready() == nil, Damaged: n.isDamaged()}
	s.Sum = n.peerSum(nonce, s)
	_ = json.NewEncoder(w).Encode(s)
}
