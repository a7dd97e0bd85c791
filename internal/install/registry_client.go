package install

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// refusal is a registry's answer that is no success.
type refusal struct {
	status  int
	code    string // of the OCI error, such as NAME_UNKNOWN
	message string
}

// Error gives the registry's own words.
func (r *refusal) Error() string {
	text := http.StatusText(r.status)
	if r.message != "" {
		text = r.message
	}
	return fmt.Sprintf("%d: %s", r.status, text)
}

func newRefusal(response *http.Response) *refusal {
	data, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBytes)) //nolint:errcheck // the status says enough
	var body struct {
		Errors []struct{ Code, Message string }
	}
	r := &refusal{status: response.StatusCode}
	if json.Unmarshal(data, &body) == nil && len(body.Errors) > 0 {
		r.code, r.message = body.Errors[0].Code, body.Errors[0].Message
	}
	return r
}

// exchange is one request to the registry about one repository.
type exchange struct {
	method     string
	url        string // absolute, or a path under the registry's address
	repository string // "" for the registry itself
	mount      string // another repository that is read
	header     http.Header
	body       *uploadBody   // nil for none
	answer     time.Duration // that the answer may take, where it is long
}

// send sends a request with the credentials of the docker login; those go to
// the registry's own host alone, and to its token server. A token that has
// expired is fetched anew and the request is sent once more.
func (r *registry) send(ctx context.Context, e exchange) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	if e.repository != "" {
		scopes := []string{auth.ScopeRepository(e.repository, auth.ActionPull, auth.ActionPush)}
		if e.mount != "" {
			scopes = append(scopes, auth.ScopeRepository(e.mount, auth.ActionPull))
		}
		ctx = auth.WithScopesForHost(ctx, r.host.RegistryStr(), scopes...)
	}
	target := e.url
	if !strings.Contains(target, "://") {
		target = r.base + e.url
	}
	request, err := http.NewRequestWithContext(ctx, e.method, target, nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("ask %s: %w", r.host, err)
	}
	for name, values := range e.header {
		request.Header[name] = values
	}
	patience := max(e.answer, 2*r.idle)
	late := time.AfterFunc(patience, func() { cancel(errIdle) })
	if e.body != nil {
		e.body.moved = func() { late.Reset(r.idle) }
		e.body.sent = func() { late.Reset(patience) }
		request.GetBody = e.body.rewind
		request.ContentLength = e.body.size
		if request.Body, err = request.GetBody(); err != nil {
			cancel(nil)
			return nil, err
		}
	}
	response, err := r.client.Do(request)
	late.Stop()
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errIdle) {
			err = errIdle
		}
		cancel(nil)
		return nil, err
	}
	response.Body = &closing{watch(response.Body, r.idle, cancel), response.Body, cancel}
	return response, nil
}

// closing ends the request's context when its body is closed.
type closing struct {
	io.Reader
	body   io.Closer
	cancel context.CancelCauseFunc
}

// Close closes the body.
func (c *closing) Close() error {
	defer c.cancel(nil)
	return c.body.Close()
}

// drain reads the rest of a small answer, so that its connection is used again.
func drain(response *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxErrorBytes)) // nothing depends on it
	_ = response.Body.Close()
}

// connect finds out how the registry is reached, and that it is one and takes
// the login.
func (r *registry) connect(ctx context.Context) error {
	if r.base != "" {
		return nil
	}
	var first error
	for _, scheme := range r.schemes() {
		r.base = scheme + "://" + r.host.RegistryStr()
		response, err := r.send(ctx, exchange{method: http.MethodGet, url: "/v2/"})
		if err == nil {
			defer drain(response)
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = newRefusal(response)
		}
		r.base = ""
		if errors.As(err, new(*tls.CertificateVerificationError)) {
			return err // it speaks TLS, and gets nothing without it
		}
		if first == nil || speaksNoTLS(first) || errors.As(err, new(*refusal)) {
			first = err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return first
}

// speaksNoTLS tells a plain HTTP server that was asked by HTTPS.
func speaksNoTLS(err error) bool {
	return errors.As(err, new(tls.RecordHeaderError)) || strings.Contains(err.Error(), "HTTP response to HTTPS client")
}

// schemes are those to try: plain HTTP only where the operator or the address
// says that it is meant.
func (r *registry) schemes() []string {
	if r.host.Scheme() == "http" {
		return []string{"https", "http"}
	}
	return []string{"https"}
}

// credential gives the docker login for the registry, and for no other host.
func (r *registry) credential(_ context.Context, host string) (auth.Credential, error) {
	if host != r.host.RegistryStr() {
		return auth.EmptyCredential, nil
	}
	resolved, err := r.keychain.Resolve(r.host)
	if err != nil {
		return auth.EmptyCredential, fmt.Errorf("read the docker login for %s: %w", host, err)
	}
	login, err := resolved.Authorization()
	if err != nil {
		return auth.EmptyCredential, fmt.Errorf("read the docker login for %s: %w", host, err)
	}
	if login.Username == "" && login.Auth != "" {
		if pair, err := base64.StdEncoding.DecodeString(login.Auth); err == nil {
			login.Username, login.Password, _ = strings.Cut(string(pair), ":")
		}
	}
	return auth.Credential{Username: login.Username, Password: login.Password, RefreshToken: login.IdentityToken, AccessToken: login.RegistryToken}, nil
}

// explain turns a failure of the registry into one sentence with its exit
// code. What another attempt may mend is left so.
func (r *registry) explain(err error, what string) *Error {
	var (
		refused *refusal
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		asked   *url.Error
		dns     *net.DNSError
		own     *Error
	)
	cause := err
	if errors.As(err, &asked) {
		cause = asked.Err
	}
	switch {
	case errors.As(err, &refused):
		return r.explainRefusal(refused, what)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return errorf(CodeAuth, "the registry %s wants a login: %s; run 'docker login %s'", r.host, what, r.host)
	case errors.As(err, &own):
		return own
	case errors.As(err, &unknown):
		return errorf(CodeNetwork, "the certificate of the registry %s is signed by no authority that this machine knows: %s; configure stage.registry.ca_file=FILE with its CA", r.host, what)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return errorf(CodeNetwork, "the certificate of the registry %s is not valid now, which this machine's clock says is %s: %s; set the clock if that is wrong", r.host, time.Now().UTC().Format("2006-01-02 15:04 UTC"), what)
	case errors.As(err, &dns) && dns.IsNotFound:
		return errorf(CodeNetwork, "this machine does not know the name of the registry %s; check stage.container_registry and the name server", r.host)
	case speaksNoTLS(err):
		return errorf(CodeNetwork, "the registry %s does not speak TLS: %s; configure stage.registry.insecure=true if that is meant", r.host, what)
	case strings.Contains(err.Error(), "response status code 40"): // of a token server
		return errorf(CodeAuth, "the registry %s refuses the login: %s: %s", r.host, what, lastCause(cause))
	}
	return errorf(CodeNetwork, "the registry %s does not answer as a registry does: %s: %s", r.host, what, lastCause(cause))
}

func (r *registry) explainRefusal(refused *refusal, what string) *Error {
	text := refused.message
	if text == "" {
		text = http.StatusText(refused.status)
	}
	switch refused.status {
	case http.StatusUnauthorized:
		return errorf(CodeAuth, "the registry %s refuses the login: %s: %s", r.host, what, text)
	case http.StatusForbidden:
		return errorf(CodeAuth, "the registry %s forbids it: %s: %s", r.host, what, text)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return errorf(CodeNetwork, "the registry %s cannot answer now (%d): %s: %s", r.host, refused.status, what, text)
	}
	return errorf(CodeFailed, "the registry %s answered %d: %s: %s", r.host, refused.status, what, text)
}

// lastCause gives the end of a chain of failed requests: the last one's, after
// its URL.
func lastCause(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, `": `); i >= 0 {
		text = text[i+len(`": `):]
	}
	return text
}
