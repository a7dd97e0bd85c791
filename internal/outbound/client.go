package outbound

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"
)

// ClientOptions are what NewClient may be told.
type ClientOptions struct {
	CA        string        // certificates in PEM that are trusted besides the system's
	Timeout   time.Duration // of one request with its answer; 0 is 10 s
	MaxAnswer int64         // bytes of an answer's body; 0 is no bound
	Resolve   Resolver      // nil is the system's
}

// maxRedirects is how often a host may send on to another address of its own.
const maxRedirects = 3

// NewClient returns an HTTP client for a host that somebody named: it goes to that
// host and to no other, wherever it is redirected to, and never to where clouds
// keep their metadata.
func NewClient(o ClientOptions) (*http.Client, error) {
	var roots *x509.CertPool
	if o.CA != "" {
		var err error
		if roots, err = x509.SystemCertPool(); err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM([]byte(o.CA)) {
			return nil, errors.New("the certificates to trust are no PEM")
		}
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	return &http.Client{
		Timeout: o.Timeout,
		Transport: &bounded{most: o.MaxAnswer, next: &http.Transport{
			DialContext: (&Dialer{Check: mayDial, Resolve: o.Resolve}).DialContext, TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 64 << 10,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		}},
		CheckRedirect: sameHost,
	}, nil
}

// sameHost refuses a redirect to another host, which may learn what was sent to
// this one.
func sameHost(r *http.Request, via []*http.Request) error {
	if first := via[0].URL; r.URL.Host != first.Host || r.URL.Scheme != first.Scheme {
		return fmt.Errorf("it leads on to %s://%s: name that address itself", r.URL.Scheme, r.URL.Host)
	}
	if len(via) > maxRedirects {
		return errors.New("it leads on and on")
	}
	return nil
}

// mayDial refuses addresses that are no server's, and those that lead to one such.
func mayDial(_ string, at netip.Addr) error {
	if Metadata(at) || NoHost(at) {
		return fmt.Errorf("%s is of the local link or of a group, or where a cloud keeps its metadata, and no server to ask", at)
	}
	return nil
}

// bounded answers with bodies of at most so many bytes.
type bounded struct {
	most int64
	next http.RoundTripper
}

// RoundTrip is part of http.RoundTripper.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil && b.most > 0 {
		response.Body = &boundedBody{ReadCloser: response.Body, left: b.most, most: b.most, host: r.URL.Host}
	}
	return response, err
}

type boundedBody struct {
	io.ReadCloser
	left, most int64
	host       string
}

// Read is part of io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("%s answered more than %d bytes", b.host, b.most)
	}
	return n, err
}
