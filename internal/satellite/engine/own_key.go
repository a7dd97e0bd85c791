package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/discovery"
	"github.com/constellation-serving/constellation/internal/satellite/keyring"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// ownKey holds the satellite's own key to the satellite's own pods. It stands
// in the environment of every algorithm, and whoever reads it there is not to
// call from elsewhere.
type ownKey struct {
	waiters chan struct{} // has an element for each call that waits in awaitPod
	refused atomic.Uint64 // calls from elsewhere
}

const (
	// podKnownWithin is how long a call may wait until its pod is known. The
	// cluster reports a pod's address a moment after the pod has it, and an
	// algorithm may call another one as the first thing it does.
	podKnownWithin = 5 * time.Second
	podLookEvery   = 20 * time.Millisecond
	maxPodWaiters  = 64
)

// caller is where a request comes from.
type caller interface {
	// host returns the address of the other end of the connection, without its
	// port; "" when it is not known.
	host() string
}

// remote is a caller as net/http knows it.
type remote string

func (r remote) host() string {
	host, _, _ := net.SplitHostPort(string(r))
	return discovery.CanonicalHost(host)
}

// errUnknownPod is why the own key is refused from an address that may yet
// turn out to be a pod's.
var errUnknownPod = errors.New("the pod is not known yet")

// isUnknownPod reports whether it may help to wait until a pod is known.
func isUnknownPod(f *protocol.Failure) bool { return f != nil && errors.Is(f, errUnknownPod) }

// authorize returns the key of an Authorization header and counts a call with
// it. The satellite's own key is refused from elsewhere than its algorithms'
// pods; the failure is caused by errUnknownPod when waiting may help.
func (e *Engine) authorize(authorization []byte, from caller) (keyring.Key, *protocol.Failure) {
	now := e.now()
	key, err := e.keys.Find(authorization, now)
	if err != nil {
		return key, refuseKey(err)
	}
	if keyring.IsOwn(key.Key) && !e.table.Load().OwnKeyAny {
		if host := from.host(); !e.isOwnPod(host) {
			f := notOwnPod(host)
			if e.watcher != nil {
				f.Cause = errUnknownPod
			} else {
				e.ownKey.refused.Add(1)
			}
			return key, f
		}
	}
	if err := key.Spend(now); err != nil {
		return key, refuseKey(err)
	}
	return key, nil
}

// refuseKey returns the failure of a call whose key the ring refuses.
func refuseKey(err error) *protocol.Failure {
	refusal, _ := errors.AsType[*keyring.Refusal](err) // the ring has no other errors
	if refusal.RetryAfter == 0 {
		return protocol.Refuse(http.StatusUnauthorized, refusal.Message)
	}
	f := protocol.Refuse(http.StatusTooManyRequests, refusal.Message)
	f.RetryAfter = int(refusal.RetryAfter / time.Second)
	return f
}

func notOwnPod(host string) *protocol.Failure {
	return protocol.Refuse(http.StatusForbidden,
		"the satellite's own key works from its algorithms' pods alone, and this call came from "+host+", which is none of them; see stage.own_key if something between them changes the address")
}

// awaitPod waits until an address is that of one of the satellite's algorithms.
func (e *Engine) awaitPod(ctx context.Context, host string) *protocol.Failure {
	select {
	case e.ownKey.waiters <- struct{}{}:
		defer func() { <-e.ownKey.waiters }()
	default:
		f := protocol.Refuse(http.StatusServiceUnavailable, "it is not known yet whether "+host+" is one of the satellite's pods, and many calls wait to know; try again later")
		f.RetryAfter = 1
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, podKnownWithin)
	defer cancel()
	look := time.NewTicker(podLookEvery)
	defer look.Stop()
	for !e.isOwnPod(host) {
		select {
		case <-look.C:
		case <-ctx.Done():
			e.ownKey.refused.Add(1)
			return notOwnPod(host)
		}
	}
	return nil
}

// isOwnPod reports whether an address is that of one of the satellite's
// algorithms. The engines' own addresses are none: they call nobody with the
// key, and a proxy in the engine's pod would lend its address to all.
func (e *Engine) isOwnPod(host string) bool {
	t := e.table.Load()
	if e.watcher != nil && e.watcher.IsPod(host, func(service, launch string) bool {
		return service != e.opts.PeerService && (t.LooksUp(service) || launch != "" && launch == t.Launch)
	}) {
		return true
	}
	return t.Lists(host)
}

// spendLater counts a call that was accepted with a key and runs now. It returns
// how long to wait when the key's rate allows none, and an error when the key may
// not make the call any more.
func (e *Engine) spendLater(keyID, vanityURL string) (time.Duration, error) {
	now := e.now()
	key, err := e.keys.Of(keyID, now)
	if err != nil {
		return 0, err
	}
	if !key.May(vanityURL) {
		return 0, fmt.Errorf("the API key %q may not call %s any more", key.Name, vanityURL)
	}
	err = key.Spend(now)
	if refusal, ok := errors.AsType[*keyring.Refusal](err); ok {
		return refusal.RetryAfter, nil
	}
	if key.Limited() && !keyring.IsOwn(key.Key) {
		e.mesh.NotifySpent(key.ID)
	}
	return 0, nil
}
