package foreign

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/retry"
	"github.com/constellation-serving/constellation/internal/tracing"
)

// Access is how a registry is reached.
type Access struct {
	Host      string // host[:port], as constellation.ParseRegistryHost returns it
	PlainHTTP bool
	CA        string // certificates in PEM that are trusted besides the system's
	Username  string // "" for no login
	Password  string
}

// Options are what Open may be told.
type Options struct {
	Allowed outbound.Allowed // addresses that may be connected to besides public ones
	Stall   time.Duration    // how long an answer may stand still; 0 is a minute
}

// Bounds of what a registry answers.
const (
	maxHeader    = 256 << 10
	maxRedirects = 5
	defaultStall = time.Minute
)

// Registry is a registry elsewhere. It is safe for concurrent use.
type Registry struct {
	access Access
	base   string // scheme://host
	stall  time.Duration
	inner  *http.Transport
	traced http.RoundTripper // inner

	mu      sync.Mutex
	clients map[string]*http.Client // by repository, whose tokens differ
	delay   time.Duration           // what the last refusal for now asked for
}

// Open returns a registry; nothing is asked yet. The caller closes it.
func Open(access Access, options Options) (*Registry, error) {
	roots, err := trust(access.CA)
	if err != nil {
		return nil, err
	}
	scheme := "https"
	if access.PlainHTTP {
		scheme = "http"
	}
	stall := cmp.Or(options.Stall, defaultStall)
	r := &Registry{
		access: access, base: scheme + "://" + endpoint(access.Host), stall: stall, clients: map[string]*http.Client{},
		inner: &http.Transport{
			DialContext:         (&outbound.Dialer{Check: options.Allowed.Check}).DialContext,
			TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: stall, MaxResponseHeaderBytes: maxHeader,
			IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 8, ForceAttemptHTTP2: true,
		},
	}
	r.traced = tracing.Transport(r.inner)
	return r, nil
}

// Close ends idle connections.
func (r *Registry) Close() { r.inner.CloseIdleConnections() }

func trust(pem string) (*x509.CertPool, error) {
	if pem == "" {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM([]byte(pem)) {
		return nil, constellation.Errorf(constellation.KindInvalid, "the certificates to trust are no PEM: give the text that begins with -----BEGIN CERTIFICATE-----")
	}
	return roots, nil
}

// endpoint is where a registry answers.
func endpoint(host string) string {
	if host == "docker.io" {
		return name.DefaultRegistry
	}
	return host
}

// client returns what asks about a repository, logged in.
func (r *Registry) client(ctx context.Context, repository string) (*http.Client, error) {
	r.mu.Lock()
	c := r.clients[repository]
	r.mu.Unlock()
	if c != nil {
		return c, nil
	}
	host := strings.TrimPrefix(strings.TrimPrefix(r.base, "https://"), "http://")
	registry, err := name.NewRegistry(host, name.StrictValidation)
	if err != nil {
		return nil, constellation.Wrap(err, constellation.KindInvalid, "%s is no registry's name", r.access.Host)
	}
	login := authn.Anonymous
	if r.access.Username != "" {
		login = authn.FromConfig(authn.AuthConfig{Username: r.access.Username, Password: r.access.Password})
	}
	ctx, cancel := context.WithTimeout(ctx, 2*r.stall)
	defer cancel()
	var scopes []string
	if repository != "" {
		scopes = []string{"repository:" + repository + ":" + transport.PullScope}
	}
	tripper, err := transport.NewWithContext(ctx, registry, login, bound{r}, scopes)
	if err != nil {
		return nil, r.failed(err, "ask "+r.access.Host, "")
	}
	c = &http.Client{Transport: tripper, CheckRedirect: r.checkRedirect}
	r.mu.Lock()
	r.clients[repository] = c
	r.mu.Unlock()
	return c, nil
}

// errPlain is a step from HTTPS down.
var errPlain = errors.New("it leads from HTTPS to plain HTTP")

// errNotTried is what the library hears that asks a registry at a private address by
// plain HTTP when it does not answer by HTTPS; why that was is what counts.
var errNotTried = errors.New("plain HTTP is not tried")

// checkRedirect follows to other hosts, where registries have their blobs, and never
// from HTTPS to plain HTTP.
func (r *Registry) checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("it leads on and on")
	}
	if request.URL.Scheme != "https" && via[len(via)-1].URL.Scheme == "https" {
		return errPlain
	}
	if request.URL.Host != via[0].URL.Host {
		request.Header.Del("Authorization")
	}
	return nil
}

// bound is the transport beneath a login: it holds requests to the registry to its
// scheme, and logins to where they may go.
type bound struct{ registry *Registry }

// RoundTrip is part of http.RoundTripper.
func (b bound) RoundTrip(request *http.Request) (*http.Response, error) {
	own, err := url.Parse(b.registry.base)
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Header.Set("User-Agent", "constellation")
	same := strings.EqualFold(request.URL.Host, own.Host)
	switch {
	case same && own.Scheme == "http":
		request.URL.Scheme = "http" // which the library tries last
	case request.URL.Scheme == "https":
	case same && request.Response == nil && request.URL.Path == "/v2/":
		return nil, errNotTried
	case same, request.Header.Get("Authorization") != "", !b.registry.access.PlainHTTP:
		return nil, errPlain
	}
	response, err := b.registry.traced.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if !same && request.Response != nil { // another host may not ask for a login
		response.Header.Del("WWW-Authenticate")
	}
	if response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500 {
		b.registry.mu.Lock()
		b.registry.delay = retry.HeaderDelay(response.Header, maxDelay)
		b.registry.mu.Unlock()
	}
	return response, nil
}
