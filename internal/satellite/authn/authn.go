package authn

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
	"github.com/constellation-serving/constellation/internal/satellite/routing"
)

// Options are what an authenticator is made with. Those without a default are
// required.
type Options struct {
	Keys    *keyring.Ring
	Table   func() *routing.Table
	OnSpent func(keyID string) // is called with a key that SpendLater counted, and the other engines are to count too
	Now     func() time.Time

	Watcher *discovery.Watcher // nil without a cluster
	Engines string             // the service of the satellite's engines, whose pods are no algorithms'
	// Waiting has an element for each call that waits in AwaitPod, of which there
	// are never more than it takes; nil is 64.
	Waiting chan struct{}
}

// Authenticator finds out who calls. Make it with New.
type Authenticator struct {
	Options
	refused atomic.Uint64
}

// New returns an authenticator.
func New(o Options) *Authenticator {
	if o.Waiting == nil {
		o.Waiting = make(chan struct{}, maxPodWaiters)
	}
	return &Authenticator{Options: o}
}

// Refused returns how many calls with the own key came from elsewhere than the
// satellite's pods.
func (a *Authenticator) Refused() uint64 { return a.refused.Load() }

const (
	// podKnownWithin is how long a call may wait until its pod is known. The
	// cluster reports a pod's address a moment after the pod has it, and an
	// algorithm may call another one as the first thing it does.
	podKnownWithin = 5 * time.Second
	podLookEvery   = 20 * time.Millisecond
	maxPodWaiters  = 64
)

// Caller is where a request comes from.
type Caller interface {
	// Host returns the address of the other end of the connection, without its
	// port; "" when it is not known.
	Host() string
}

// Remote is a caller as net/http knows it.
type Remote string

// Host returns the address.
func (r Remote) Host() string {
	host, _, _ := net.SplitHostPort(string(r))
	return discovery.CanonicalHost(host)
}

// errUnknownPod is why the own key is refused from an address that may yet
// turn out to be a pod's.
var errUnknownPod = errors.New("the pod is not known yet")

// IsUnknownPod reports whether it may help to wait until a pod is known.
func IsUnknownPod(f *protocol.Failure) bool { return f != nil && errors.Is(f, errUnknownPod) }

// Authenticate returns the key of an Authorization header and counts a call with
// it. The satellite's own key is refused from elsewhere than its algorithms'
// pods; the failure is caused by errUnknownPod when waiting may help.
func (a *Authenticator) Authenticate(authorization []byte, from Caller) (keyring.Key, *protocol.Failure) {
	now := a.Now()
	key, err := a.Keys.Find(authorization, now)
	if err != nil {
		return key, refuseKey(err)
	}
	if keyring.IsOwn(key.Key) && !a.Table().OwnKeyAny {
		if host := from.Host(); !a.isOwnPod(host) {
			f := notOwnPod(host)
			if a.Watcher != nil {
				f.Cause = errUnknownPod
			} else {
				a.refused.Add(1)
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

// AwaitPod waits until an address is that of one of the satellite's algorithms.
func (a *Authenticator) AwaitPod(ctx context.Context, host string) *protocol.Failure {
	select {
	case a.Waiting <- struct{}{}:
		defer func() { <-a.Waiting }()
	default:
		f := protocol.Refuse(http.StatusServiceUnavailable, "it is not known yet whether "+host+" is one of the satellite's pods, and many calls wait to know; try again later")
		f.RetryAfter = 1
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, podKnownWithin)
	defer cancel()
	look := time.NewTicker(podLookEvery)
	defer look.Stop()
	for !a.isOwnPod(host) {
		select {
		case <-look.C:
		case <-ctx.Done():
			a.refused.Add(1)
			return notOwnPod(host)
		}
	}
	return nil
}

// isOwnPod reports whether an address is that of one of the satellite's
// algorithms. The engines' own addresses are none: they call nobody with the
// key, and a proxy in the engine's pod would lend its address to all.
func (a *Authenticator) isOwnPod(host string) bool {
	t := a.Table()
	if a.Watcher != nil && a.Watcher.IsPod(host, func(service, launch string) bool {
		return service != a.Engines && (t.LooksUp(service) || launch != "" && launch == t.Launch)
	}) {
		return true
	}
	return t.Lists(host)
}

// SpendLater counts a call that was accepted with a key and runs now. It returns
// how long to wait when the key's rate allows none, and an error when the key may
// not make the call any more.
func (a *Authenticator) SpendLater(keyID, vanityURL string) (time.Duration, error) {
	now := a.Now()
	key, err := a.Keys.Of(keyID, now)
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
		a.OnSpent(key.ID)
	}
	return 0, nil
}
