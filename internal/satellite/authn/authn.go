package authn

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/discovery"
	"github.com/constellation-serving/constellation/internal/satellite/identity"
	"github.com/constellation-serving/constellation/internal/satellite/keyring"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
)

// Options are what an authenticator is made with. Those without a default are
// required.
type Options struct {
	Keys    *keyring.Ring
	Others  *identity.Identities // who calls without a key; nil is nobody
	Table   func() *routing.Table
	OnSpent func(keyID string) // is called with a key that SpendLater counted, and the other engines are to count too
	Now     func() time.Time

	Watcher *discovery.Watcher // nil without a cluster
	Engines string             // the service of the satellite's engines, whose pods are no algorithms'
	// Waiting has an element for each call that waits in Await, of which there
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
		o.Waiting = make(chan struct{}, maxWaiters)
	}
	return &Authenticator{Options: o}
}

// Refused returns how many calls with the own key came from elsewhere than the
// satellite's pods.
func (a *Authenticator) Refused() uint64 { return a.refused.Load() }

const (
	// knownWithin is how long a call may wait until its pod, or the key of its
	// token, is known. The cluster reports a pod's address a moment after the pod
	// has it, and an algorithm may call another one as the first thing it does.
	knownWithin  = 5 * time.Second
	podLookEvery = 20 * time.Millisecond
	maxWaiters   = 64
)

// Caller is where a request comes from.
type Caller interface {
	// Host returns the address of the other end of the connection, without its
	// port; "" when it is not known.
	Host() string
}

// Remote is a caller as net/http knows it.
type Remote struct {
	address string
	chain   []*x509.Certificate
}

// RemoteOf returns the caller of a request.
func RemoteOf(r *http.Request) Remote {
	remote := Remote{address: r.RemoteAddr}
	if r.TLS != nil {
		remote.chain = r.TLS.PeerCertificates
	}
	return remote
}

// Host returns the address.
func (r Remote) Host() string {
	host, _, _ := net.SplitHostPort(r.address)
	return discovery.CanonicalHost(host)
}

// Why a caller is refused who may yet turn out to be let in.
var (
	errUnknownPod = errors.New("the pod is not known yet") // whose address it is
	errUnknownKey = errors.New("the issuer's keys are not known yet")
)

// MayAwait reports whether Await may help.
func MayAwait(f *protocol.Failure) bool {
	return f != nil && (errors.Is(f, errUnknownPod) || errors.Is(f, errUnknownKey))
}

// Authenticate returns the key of an Authorization header, or the identity that a
// token there or a client certificate names, and counts a call with it. The
// satellite's own key is refused from elsewhere than its algorithms' pods. MayAwait
// tells whether waiting may help against the failure.
func (a *Authenticator) Authenticate(authorization []byte, from Caller) (keyring.Key, *protocol.Failure) {
	now := a.Now()
	key, err := a.Keys.Find(authorization, now)
	if err != nil {
		var f *protocol.Failure
		if key, f = a.identify(authorization, from, now, err); f != nil {
			return key, f
		}
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

// identify returns the identity of a caller without a key, whom the ring refused.
func (a *Authenticator) identify(authorization []byte, from Caller, now time.Time, refusal error) (keyring.Key, *protocol.Failure) {
	if a.Others == nil {
		return keyring.Key{}, refuseKey(refusal)
	}
	var who keyring.Identity
	var err error
	remote, _ := from.(Remote) // event loops have no TLS
	credential, _ := keyring.Credential(authorization)
	switch {
	case identity.IsToken(credential):
		who, err = a.Others.Token(credential, now)
	case len(authorization) == 0 && len(remote.chain) > 0:
		who, err = a.Others.Certificate(remote.chain, now)
	default:
		err = refusal
	}
	if refused, ok := errors.AsType[*identity.Refusal](err); ok {
		return keyring.Key{}, refuseIdentity(refused)
	} else if err != nil {
		return keyring.Key{}, refuseKey(err)
	}
	return a.Keys.Identify(who), nil
}

func refuseIdentity(refused *identity.Refusal) *protocol.Failure {
	f := protocol.Refuse(http.StatusUnauthorized, refused.Message)
	if refused.Unready {
		f = protocol.Refuse(http.StatusServiceUnavailable, refused.Message)
		f.RetryAfter = unreadyRetry
	}
	if refused.Wait {
		f.Cause = errUnknownKey
	}
	return f
}

// unreadyRetry is when a caller may try again whose token could not be checked, in
// seconds.
const unreadyRetry = 5

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

// Await waits until it may be known who calls, whom Authenticate refused with f. It
// returns nil when it is to be asked again.
func (a *Authenticator) Await(ctx context.Context, f *protocol.Failure, from Caller) *protocol.Failure {
	select {
	case a.Waiting <- struct{}{}:
		defer func() { <-a.Waiting }()
	default:
		f := protocol.Refuse(http.StatusServiceUnavailable, "it is not known yet who "+from.Host()+" is, and many calls wait to know; try again later")
		f.RetryAfter = 1
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, knownWithin)
	defer cancel()
	if errors.Is(f, errUnknownKey) {
		a.Others.Refresh(ctx)
		return nil
	}
	return a.awaitPod(ctx, from.Host())
}

// awaitPod waits until an address is that of one of the satellite's algorithms.
func (a *Authenticator) awaitPod(ctx context.Context, host string) *protocol.Failure {
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
	if err != nil && a.Others != nil && a.Others.IsOf(keyID) {
		// What it may call was settled when the call was accepted: the token that
		// said so is gone, and often expired.
		key, err = a.Keys.Identify(keyring.Identity{ID: keyID, May: func(string) bool { return true }}), nil
	}
	if err != nil {
		return 0, err
	}
	if !key.May(vanityURL) {
		return 0, fmt.Errorf("%s may not call %s any more", key.Title(), vanityURL)
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
