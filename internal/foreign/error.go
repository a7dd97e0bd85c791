package foreign

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/retry"
)

// maxDelay is the longest wait that a registry may ask for.
const maxDelay = 6 * time.Hour

// refused returns what an answer says that is none of those that were wanted.
func (r *Registry) refused(response *http.Response, what string) error {
	return r.status(response.StatusCode, retry.HeaderDelay(response.Header, maxDelay), what)
}

func (r *Registry) status(code int, delay time.Duration, what string) error {
	host := r.access.Host
	login := "without a login: add one for this registry, if it needs one"
	if r.access.Username != "" {
		login = "with the login of " + r.access.Username + ": see whether its password is right and has not expired"
	}
	permanent := func(kind constellation.Kind, format string, args ...any) error {
		return retry.Permanent(constellation.Errorf(kind, format, args...))
	}
	switch {
	case code == http.StatusUnauthorized:
		return permanent(constellation.KindUnauthenticated, "%s does not let us in %s", host, login)
	case code == http.StatusForbidden:
		return permanent(constellation.KindForbidden, "%s does not let us read %s, %s", host, what, login)
	case code == http.StatusNotFound:
		return permanent(constellation.KindNotFound, "%s has no %s, or does not show it %s", host, what, login)
	case code == http.StatusTooManyRequests:
		return retry.After(constellation.Errorf(constellation.KindRateLimited, "%s has had too many requests of us for now (429)", host), delay)
	case retry.TransientStatus(code):
		return retry.After(constellation.Errorf(constellation.KindUnavailable, "%s cannot serve %s for now (%d)", host, what, code), delay)
	}
	return permanent(constellation.KindInvalid, "%s answered %d when it was asked for %s: it is perhaps no registry", host, code, what)
}

// failed returns what a failure of asking means.
func (r *Registry) failed(err error, doing, what string) error {
	var answer *transport.Error
	var private outbound.NotAllowedError
	var dns *net.DNSError
	host := r.access.Host
	switch {
	case errors.Is(err, context.Canceled), constellation.KindOf(err) != constellation.KindInternal:
		return err
	case errors.As(err, &answer):
		if what == "" {
			what = "a token"
		}
		r.mu.Lock()
		delay := r.delay
		r.mu.Unlock()
		return r.status(answer.StatusCode, delay, what)
	case errors.As(err, &private):
		return retry.Permanent(constellation.Wrap(err, constellation.KindForbidden,
			"%s: images are imported from public addresses, and from what this mothership's setting outbound-allow names", private.Error()))
	case errors.Is(err, errPlain):
		return retry.Permanent(constellation.Wrap(err, constellation.KindForbidden, "%s leads from HTTPS to plain HTTP, where others could read and change what it sends", host))
	case errors.As(err, &dns) && dns.IsNotFound:
		return retry.Permanent(constellation.Wrap(err, constellation.KindInvalid, "no name server knows %s", host))
	case retry.PermanentConnection(err):
		return retry.Permanent(constellation.Wrap(err, constellation.KindInvalid,
			"the certificate of %s cannot be trusted (%s): give the authority's certificate with the registry", host, reason(err)))
	case speaksPlain(err):
		return retry.Permanent(constellation.Wrap(err, constellation.KindInvalid, "%s speaks plain HTTP, no HTTPS: add it as a registry by plain HTTP, if that is meant", host))
	}
	return constellation.Wrap(fmt.Errorf("%s: %w", doing, err), constellation.KindUnavailable, "%s cannot be reached (%s)", host, reason(err))
}

// reason is the innermost part of an error of a connection, without addresses of ours.
func reason(err error) string {
	var address *url.Error
	if errors.As(err, &address) {
		err = address.Err
	}
	var operation *net.OpError
	if errors.As(err, &operation) {
		err = operation.Err
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return "it does not answer in time"
	}
	text := err.Error()
	const most = 200
	if len(text) > most {
		text = text[:most] + "…"
	}
	return text
}

// speaksPlain reports whether a server answered TLS with plain HTTP.
func speaksPlain(err error) bool {
	var address *url.Error
	return errors.As(err, &address) && address.Err != nil && address.Err.Error() == "http: server gave HTTP response to HTTPS client"
}
