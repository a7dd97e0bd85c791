package reach

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Answer is who answered when a deploy asked, at its end, by the way that
// callers from outside take.
type Answer struct {
	URL     string `json:"url"`
	Answers Who    `json:"answers"`
	Detail  string `json:"detail,omitempty"`
	// Queue is config.QueueReached or config.QueueOpening; "" of a launch without
	// a queue, and of engines that do not say.
	Queue string `json:"queue,omitempty"`
}

// Who answers.
type Who string

// Whoever may answer.
const (
	ThisLaunch    Who = "this launch"
	OtherLaunch   Who = "another launch"
	SomethingElse Who = "something else" // or an engine that is too old to prove what it is
	Nobody        Who = "nobody"         // as seen from this machine
)

// How long a controller has to serve an Ingress that it just got, and pods that
// were just exchanged.
const (
	freshIngress = 20 * time.Second
	knownIngress = 5 * time.Second
	reachTry     = 5 * time.Second
	reachEvery   = 500 * time.Millisecond
	// A controller has several workers, and often several pods, which take up an
	// Ingress one after the other: so many answers in a row stand for all.
	freshAnswers = 5
	freshEvery   = 100 * time.Millisecond
)

// AsCallers asks for a proof that the engines of a launch are behind the
// Ingress, by the way that callers take.
//
// Where one of them does not reach its queue yet, it asks on until all do, for at
// most patience; it calls waits when that begins.
func AsCallers(ctx context.Context, cluster *cluster.Cluster, launchID, base string, changes []apply.Change, patience time.Duration, waits func()) *Answer {
	known, err := health.IngressAddress(ctx, cluster)
	if err != nil {
		known = "" // then DNS has to know
	}
	client := NewClient(known)
	defer client.CloseIdleConnections()
	fresh := slices.ContainsFunc(changes, func(c apply.Change) bool { return c.Object.Kind == "Ingress" })
	ask := func() *Answer {
		client.CloseIdleConnections() // another connection may be another worker's
		return Ask(ctx, client, launchID, base+"/v1/status")
	}
	wanted := 1
	if len(changes) > 0 {
		wanted = freshAnswers // so many stand for all engines too
	}
	return untilQueue(ctx, untilSure(ctx, fresh, ask), wanted, patience, waits, ask)
}

// untilQueue asks until so many answers in a row come from engines that reach
// their queue, or until the time for it is over. An engine that says nothing of a
// queue is not waited for.
func untilQueue(ctx context.Context, first *Answer, wanted int, patience time.Duration, waits func(), ask func() *Answer) *Answer {
	if first.Answers != ThisLaunch || first.Queue == "" {
		return first
	}
	last, told, right := first, false, 0
	for deadline := time.Now().Add(patience); ; {
		pause := freshEvery
		if last.Queue == config.QueueOpening {
			if !told {
				told = true
				waits()
			}
			right, pause = 0, reachEvery
		} else if right++; right == wanted {
			return last
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return last
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(pause):
		}
		if next := ask(); next.Answers == ThisLaunch { // who else answers was looked at before
			last = next
		}
	}
}

// untilSure asks until the launch answers, as often as it takes to be sure of it,
// or until the time for it is over.
func untilSure(ctx context.Context, fresh bool, ask func() *Answer) *Answer {
	timeout, wanted := knownIngress, 1
	if fresh {
		timeout, wanted = freshIngress, freshAnswers
	}
	right := 0 // answers in a row
	for deadline := time.Now().Add(timeout); ; {
		r, pause := ask(), reachEvery
		if r.Answers == ThisLaunch {
			right, pause = right+1, freshEvery
		} else {
			right = 0
		}
		if right == wanted || ctx.Err() != nil || r.Answers == Nobody && !fresh || time.Now().After(deadline) {
			return r
		}
		select {
		case <-ctx.Done():
			return r
		case <-time.After(pause):
		}
	}
}

// Ask asks once who answers at an address.
func Ask(ctx context.Context, client *http.Client, launchID, status string) *Answer {
	r := &Answer{URL: status, Answers: Nobody}
	ctx, cancel := context.WithTimeout(ctx, reachTry)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, status, nil)
	if err != nil {
		r.Detail = err.Error()
		return r
	}
	challenge := rand.Text()
	request.Header.Set(config.ChallengeHeader, challenge)
	response, err := client.Do(request)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err
		}
		r.Detail = err.Error()
		return r
	}
	connection.Drain(response)
	switch response.Header.Get(config.ProofHeader) {
	case config.Proof(launchID, challenge):
		r.Answers = ThisLaunch
		for _, state := range []string{config.QueueReached, config.QueueOpening} {
			if response.Header.Get(config.QueueHeader) == config.QueueProof(launchID, challenge, state) {
				r.Queue = state
			}
		}
	case "":
		r.Answers, r.Detail = SomethingElse, "it answers "+response.Status
	default:
		r.Answers = OtherLaunch
	}
	return r
}

// NewClient returns a client that asks as callers do. A host that has no DNS record yet is asked
// for at the address that the Ingress got. Certificates are not looked at:
// nothing secret is sent, and the proof stands for itself.
func NewClient(known string) *http.Client {
	var dialer net.Dialer
	return &http.Client{Transport: &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as said above
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connection, err := dialer.DialContext(ctx, network, address)
			var name *net.DNSError
			if _, port, bad := net.SplitHostPort(address); known != "" && bad == nil && errors.As(err, &name) {
				return dialer.DialContext(ctx, network, net.JoinHostPort(known, port))
			}
			return connection, err
		},
	}}
}
