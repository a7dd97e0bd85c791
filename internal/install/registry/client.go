package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// exchange is one request to the registry about one repository.
type exchange struct {
	method     string
	url        string // absolute, or a path under the registry's address
	repository string // "" for the registry itself
	mount      string // another repository that is read
	pull       bool   // it only reads, and asks for no more
	header     http.Header
	body       *Body         // nil for none
	answer     time.Duration // that the answer may take, where it is long
}

// send sends a request with the credentials of the docker login. Those are
// bound to the registry's scheme, host and port: another address that the
// registry names, as for a presigned upload, gets the request without them, and
// plain HTTP after TLS gets nothing. A token that has expired is fetched anew
// and the request is sent once more.
func (r *Registry) send(ctx context.Context, e exchange) (*http.Response, error) {
	target, own, err := r.target(e.url)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	if e.repository != "" {
		scopes := []string{auth.ScopeRepository(e.repository, auth.ActionPull, auth.ActionPush)}
		if e.pull {
			scopes = []string{auth.ScopeRepository(e.repository, auth.ActionPull)}
		}
		if e.mount != "" {
			scopes = append(scopes, auth.ScopeRepository(e.mount, auth.ActionPull))
		}
		ctx = auth.WithScopesForHost(ctx, r.host.RegistryStr(), scopes...)
	}
	request, err := http.NewRequestWithContext(ctx, e.method, target, nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("ask %s: %w", r.host, err)
	}
	for name, values := range e.header {
		request.Header[name] = values
	}
	limit := max(e.answer, 2*r.stall)
	stall := time.AfterFunc(limit, func() { cancel(connection.ErrStalled) })
	if e.body != nil {
		e.body.moved = func() { stall.Reset(r.stall) }
		e.body.sent = func() { stall.Reset(limit) }
		request.GetBody = e.body.rewind
		request.ContentLength = e.body.size
		if request.Body, err = request.GetBody(); err != nil {
			cancel(nil)
			return nil, err
		}
	}
	do := r.client.Do
	if !own {
		do = r.client.Client.Do
	}
	response, err := do(request)
	stall.Stop()
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, connection.ErrStalled) {
			err = connection.ErrStalled
		}
		cancel(nil)
		return nil, err
	}
	connection.WithStallTimer(response, r.stall, cancel)
	return response, nil
}

// target returns the whole address of an exchange, and whether it is the
// registry's own.
func (r *Registry) target(address string) (target string, own bool, err error) {
	if !strings.Contains(address, "://") {
		return r.base + address, true, nil
	}
	base, err := url.Parse(r.base)
	if err != nil {
		return "", false, fmt.Errorf("ask %s: %w", r.host, err)
	}
	u, err := base.Parse(address)
	if err != nil {
		return "", false, fault.Wrap(err, fault.CodeNetwork, "the registry %s names no address", r.host)
	}
	if err := connection.CheckDowngrade(base, u); err != nil {
		return "", false, err
	}
	if own = connection.SameOrigin(base, u); own {
		u.Host = base.Host // however its port was written: the login is known by it
	}
	u.User = nil
	return u.String(), own, nil
}

// Owns reports whether an address is the registry's own.
func (r *Registry) Owns(address string) bool {
	_, own, err := r.target(address)
	return err == nil && own
}

// Connect finds out how the registry is reached, and that it is one and takes
// the login.
func (r *Registry) Connect(ctx context.Context) error {
	if r.base != "" {
		return nil
	}
	var first error
	for _, scheme := range r.schemes() {
		r.base = scheme + "://" + r.host.RegistryStr()
		response, err := r.send(ctx, exchange{method: http.MethodGet, url: "/v2/"})
		if err == nil {
			defer connection.Drain(response)
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = newRefusal(response)
		}
		r.base = ""
		if errors.As(err, new(*Refusal)) || connection.IsDowngrade(err) {
			return err // it was the registry that answered
		}
		if errors.As(err, new(*tls.CertificateVerificationError)) {
			return err // it speaks TLS, and gets nothing without it
		}
		if first == nil || SpeaksNoTLS(first) {
			first = err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return first
}

// SpeaksNoTLS reports whether err is of a plain HTTP server that was asked by
// HTTPS.
func SpeaksNoTLS(err error) bool {
	return errors.As(err, new(tls.RecordHeaderError)) || strings.Contains(err.Error(), "HTTP response to HTTPS client")
}

// schemes are those to try. Plain HTTP is spoken only where the operator says
// so, and, as docker has it, to this machine itself unless it is refused.
func (r *Registry) schemes() []string {
	plain := r.config.insecure()
	if r.config.Insecure == nil {
		plain = connection.IsLoopback((&url.URL{Host: r.host.RegistryStr()}).Hostname())
	}
	if plain {
		return []string{"https", "http"}
	}
	return []string{"https"}
}
