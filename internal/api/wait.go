package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// How long a request may wait, and how many may at once, of one account and in
// all.
const (
	waitDefault    = 30 * time.Second
	waitMost       = 120 * time.Second
	waitsOfAccount = 16
	waitsOfAll     = 256
)

// waits counts requests that wait. The zero value is ready.
type waits struct {
	mu  sync.Mutex
	all int
	by  map[string]int // account
}

// enter counts a request of p until leave is called; KindRateLimited when there
// are too many.
func (w *waits) enter(p control.Principal) (leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.by[p.Username] >= waitsOfAccount:
		return nil, constellation.Errorf(constellation.KindRateLimited, "%d requests of the account %s wait already; let one end, or ask without wait_for", waitsOfAccount, p.Username)
	case w.all >= waitsOfAll:
		return nil, constellation.Errorf(constellation.KindRateLimited, "%d requests wait already; try again in a moment, or ask without wait_for", waitsOfAll)
	case w.by == nil:
		w.by = map[string]int{}
	}
	w.all++
	w.by[p.Username]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all--
		if w.by[p.Username]--; w.by[p.Username] == 0 {
			delete(w.by, p.Username)
		}
	}, nil
}

// WaitInput lets a request wait for a launch instance.
type WaitInput struct {
	WaitFor    string `query:"wait_for" enum:"running" doc:"running: answers once the launch instance is up and runs the version, or after timeout; reached says which."`
	Version    int    `query:"version" minimum:"1" maximum:"2147483647" doc:"Of wait_for: the version, exactly. Left out, the one that the launch instance should run." example:"4"`
	MinVersion int    `query:"min_version" minimum:"1" maximum:"2147483647" doc:"Of wait_for, in place of version: this one or a later one." example:"4"`
	Timeout    string `query:"timeout" doc:"Of wait_for: how long, 1s to 120s; left out, 30s." example:"60s"`
}

// wait reads what is waited for, and how long; 0 is not at all.
func (in WaitInput) wait() (control.LaunchWait, time.Duration, error) {
	var v constellation.Validation
	if in.WaitFor == "" && (in.Version != 0 || in.MinVersion != 0 || in.Timeout != "") {
		v.Add("wait_for", "version, min_version and timeout say what wait_for waits for; send wait_for=running with them")
	}
	if in.Version != 0 && in.MinVersion != 0 {
		v.Add("min_version", "min_version takes the place of version; send one of them")
	}
	timeout := waitDefault
	if in.Timeout != "" {
		seconds, err := strconv.Atoi(strings.TrimSuffix(in.Timeout, "s"))
		if timeout = time.Duration(seconds) * time.Second; err != nil || seconds < 1 || timeout > waitMost {
			v.Add("timeout", "timeout is 1s to %.0fs, in whole seconds; not %s", waitMost.Seconds(), describe(in.Timeout))
		}
	}
	if in.WaitFor == "" {
		timeout = 0
	}
	wait := control.LaunchWait{Version: in.Version}
	if in.MinVersion != 0 {
		wait = control.LaunchWait{Version: in.MinVersion, AtLeast: true}
	}
	return wait, timeout, v.Err()
}

// await waits for a launch, without the turn of a read, until the timeout, the
// client's going or the server's end, and reports whether it is as wanted.
func (s *server) await(ctx context.Context, path LaunchPath, wait control.LaunchWait, timeout time.Duration) (reached bool, err error) {
	c := callOf(ctx)
	leave, err := s.waits.enter(c.principal)
	if err != nil {
		return false, err
	}
	defer leave()
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-waiting.Done():
		}
	}()
	err = c.rest(func() (err error) {
		reached, err = c.control.AwaitLaunch(waiting, c.principal, path.SatelliteID, path.LaunchID, wait)
		return err
	})
	return reached, err
}

// contentTag is the entity tag of a revision with a body; If-Match looks at the
// revision alone.
func contentTag(revision int64, body any) (string, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("encode a body for its ETag: %w", err)
	}
	sum := sha256.Sum256(data)
	return strconv.Quote(strconv.FormatInt(revision, 10) + "." + hex.EncodeToString(sum[:8])), nil
}
