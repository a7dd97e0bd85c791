package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Patience is how long requests to an API server that is away are tried again.
// Every request of this package can be: reads, server-side applies, deletions
// of one certain object, and reviews.
type Patience struct {
	For    time.Duration                    // 0 tries once
	Report func(format string, args ...any) // told when the server goes and comes back; may be nil
}

// Between two tries.
const (
	tryAgainFirst = 250 * time.Millisecond
	tryAgainMost  = 3 * time.Second
)

// patientTransport sends requests until they are answered or patience is over.
type patientTransport struct {
	Patience
	base http.RoundTripper

	mu   sync.Mutex
	away bool
}

// RoundTrip gives the first answer that is not one of a server on its way down
// or up. The error wraps ErrUnreachable when patience is over.
func (p *patientTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, deadline := request.Context(), time.Now().Add(p.For)
	for pause := tryAgainFirst; ; pause = min(2*pause, tryAgainMost) {
		response, err := p.once(request)
		problem := problemOf(response, err)
		switch {
		case problem == nil:
			p.back()
			return response, err
		case ctx.Err() != nil:
			return response, err
		case p.For == 0 || time.Now().Add(pause).After(deadline) || request.Body != nil && request.GetBody == nil:
			if err != nil {
				err = fmt.Errorf("%w: %w", ErrUnreachable, err)
			}
			return response, err
		}
		p.gone(problem)
		if response != nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // so that the connection can be used again
			_ = response.Body.Close()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		if request.GetBody != nil {
			request = request.Clone(ctx)
			if request.Body, err = request.GetBody(); err != nil {
				return nil, fmt.Errorf("send the request again: %w", err)
			}
		}
	}
}

// once ends a try whose answer does not begin in time; the answer's body may
// take as long as it likes, as a log does that is followed.
func (p *patientTransport) once(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(request.Context())
	timer := time.AfterFunc(requestTimeout, func() { cancel(errNoAnswer) })
	response, err := p.base.RoundTrip(request.WithContext(ctx))
	timer.Stop()
	if err != nil {
		if errors.Is(context.Cause(ctx), errNoAnswer) {
			err = errNoAnswer
		}
		cancel(nil)
		return nil, err
	}
	response.Body = &cancelingBody{response.Body, cancel}
	return response, nil
}

var errNoAnswer = fmt.Errorf("no answer in %s", requestTimeout)

type cancelingBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// Close ends the request.
func (b *cancelingBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}

// problemOf says what of an answer may be better at the next try.
func problemOf(response *http.Response, err error) error {
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var name *net.DNSError
	switch {
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &name) && name.IsNotFound:
		return nil // will be the same
	case err != nil:
		return err
	}
	switch response.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return errors.New(response.Status)
	}
	return nil
}

func (p *patientTransport) gone(problem error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.away && p.Report != nil {
		p.Report("the cluster does not answer, trying again for up to %s: %v", p.For, problem)
	}
	p.away = true
}

func (p *patientTransport) back() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away && p.Report != nil {
		p.Report("the cluster answers again")
	}
	p.away = false
}
