package passthrough

import (
	"context"
	"net"
	"net/http"

	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// maxAnswerHead is what the head of a replica's answer may have, in bytes.
const maxAnswerHead = 256 << 10

// Transport is the connections to replicas that requests are passed on by.
type Transport struct {
	kept  *http.Transport // of requests without a body, which may be sent again on a new connection
	fresh *http.Transport // of requests with one, and of upgrades: a connection each
	http2 *http.Transport // many at once on a connection
}

// NewTransport returns a transport without a connection as yet.
func NewTransport() *Transport {
	plain := func(keep bool) *http.Transport {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		return newTransport(protocols, keep)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &Transport{kept: plain(true), fresh: plain(false), http2: newTransport(protocols, true)}
}

func newTransport(protocols *http.Protocols, keep bool) *http.Transport {
	return &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return upstream.Dial(ctx, addr)
		},
		DisableCompression:     true,
		DisableKeepAlives:      !keep,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        upstream.IdleFor,
		MaxResponseHeaderBytes: maxAnswerHead,
		ReadBufferSize:         copyStep,
	}
}

// of returns the transport of a request.
func (t *Transport) of(r *http.Request, http2 bool) *http.Transport {
	switch {
	case http2:
		return t.http2
	case r.Body != nil || r.Header["Upgrade"] != nil:
		return t.fresh
	}
	return t.kept
}

// CloseIdle closes the connections that nothing is passed on by.
func (t *Transport) CloseIdle() {
	t.kept.CloseIdleConnections()
	t.http2.CloseIdleConnections()
}
