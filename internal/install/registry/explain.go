package registry

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/retry"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// Explain turns a failure of the registry into one sentence with its exit
// code. What another attempt may mend is left so.
func (r *Registry) Explain(err error, what string) *fault.Error {
	var (
		refused *Refusal
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		asked   *url.Error
		dns     *net.DNSError
		own     *fault.Error
	)
	cause := err
	if errors.As(err, &asked) {
		cause = asked.Err
	}
	switch {
	case errors.As(err, &refused):
		return r.explainRefusal(refused, what)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return fault.Errorf(fault.CodeAuth, "the registry %s wants a login: %s; run 'docker login %s'", r.host, what, r.host)
	case errors.As(err, &own):
		return own
	case strings.Contains(err.Error(), "missing username or password"):
		return fault.Errorf(fault.CodeAuth, "the registry %s wants a name and a password: %s; the docker login for it is a token, so run 'docker login %s' with both", r.host, what, r.host)
	case connection.IsDowngrade(err):
		return fault.Wrap(cause, fault.CodeNetwork, "%s is refused, since the login or the image would go in clear", what)
	case errors.As(err, &unknown):
		return fault.Errorf(fault.CodeNetwork, "the certificate of the registry %s is signed by no authority that this machine knows: %s; configure stage.registry.ca_file=FILE with its CA", r.host, what)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fault.Errorf(fault.CodeNetwork, "the certificate of the registry %s is not valid now, which this machine's clock says is %s: %s; set the clock if that is wrong", r.host, time.Now().UTC().Format("2006-01-02 15:04 UTC"), what)
	case errors.As(err, &dns) && dns.IsNotFound:
		return fault.Errorf(fault.CodeNetwork, "this machine does not know the name of the registry %s; check stage.container_registry and the name server", r.host)
	case SpeaksNoTLS(err):
		return fault.Errorf(fault.CodeNetwork, "the registry %s does not speak TLS: %s; configure stage.registry.insecure=true if that is meant", r.host, what)
	case strings.Contains(err.Error(), "response status code 40"): // of a token server
		return fault.Errorf(fault.CodeAuth, "the registry %s refuses the login: %s: %s", r.host, what, lastCause(cause))
	}
	return fault.Errorf(fault.CodeNetwork, "the registry %s does not answer as a registry does: %s: %s", r.host, what, lastCause(cause))
}

func (r *Registry) explainRefusal(refused *Refusal, what string) *fault.Error {
	text := refused.Message
	if text == "" {
		text = http.StatusText(refused.Status)
	}
	switch refused.Status {
	case http.StatusUnauthorized:
		if foreign := connection.OriginOf(refused.from); foreign != r.origin() && r.base != "" {
			return fault.Errorf(fault.CodeAuth, "the registry %s sends the upload on to %s, which wants a login: %s; the login for %s goes nowhere else", r.host, foreign, what, r.host)
		}
		return fault.Errorf(fault.CodeAuth, "the registry %s refuses the login: %s: %s", r.host, what, text)
	case http.StatusForbidden:
		return fault.Errorf(fault.CodeAuth, "the registry %s forbids it: %s: %s", r.host, what, text)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fault.Errorf(fault.CodeNetwork, "the registry %s cannot answer now (%d): %s: %s", r.host, refused.Status, what, text)
	}
	return fault.Errorf(fault.CodeFailed, "the registry %s answered %d: %s: %s", r.host, refused.Status, what, text)
}

// origin returns the registry's own scheme, host and port; "" until it is known.
func (r *Registry) origin() string {
	u, err := url.Parse(r.base)
	if err != nil || r.base == "" {
		return ""
	}
	return connection.OriginOf(u)
}

// lastCause returns the end of a chain of failed requests: the last one's, after
// its URL.
func lastCause(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, `": `); i >= 0 {
		text = text[i+len(`": `):]
	}
	return text
}

// WhyNot is explain, and nothing when it was the operator who ended it.
func (r *Registry) WhyNot(ctx context.Context, err error, what string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.Explain(err, what)
}

// Classify explains a failure of the registry, and marks it as permanent unless
// it may pass.
func (r *Registry) Classify(ctx context.Context, err error, what string) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	explained := r.Explain(err, what)
	var refused *Refusal
	if explained.Code == fault.CodeNetwork && !connection.IsDowngrade(err) && !strings.Contains(explained.Message, "configure stage.registry") || errors.As(err, &refused) && refused.Status >= 500 {
		return explained
	}
	return retry.Permanent(explained)
}

// Advice returns what mends a refused push, for one repository.
func (r *Registry) Advice(e *fault.Error, repository string) string {
	host, path, _ := strings.Cut(repository, "/")
	switch {
	case connection.IsDowngrade(e):
		return "have the registry, or the proxy in front of it, name https addresses: the proxy sends X-Forwarded-Proto: https, or the registry is configured with its own https URL"
	case e.Code == fault.CodeAuth:
		return "run 'docker login " + host + "' with an account that may push"
	case e.Code == fault.CodeNetwork && !r.config.insecure():
		return "check the address and the network; for a registry with its own CA configure stage.registry.ca_file=FILE, for plain HTTP stage.registry.insecure=true"
	case e.Code == fault.CodeNetwork:
		return "check stage.container_registry, and that this machine reaches it"
	case kindOf(host) == kindECR:
		return "make the repository with '" + createECR(host, path) + "'"
	}
	return cmp.Or(pathHint(host), "check stage.container_registry")
}

// ExplainMissing adds, to a repository that is not there, the commands that
// make it and the others that the launch needs.
func (r *Registry) ExplainMissing(err error, repositories []string) error {
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != fault.CodeFailed || !strings.Contains(e.Error(), "answered 404") {
		return err
	}
	told := *e
	host := r.Host()
	if kindOf(host) != kindECR {
		told.Next = pathHint(host)
		return &told
	}
	var commands []string
	for _, repository := range repositories {
		if c := createECR(host, repository); !slices.Contains(commands, c) {
			commands = append(commands, c)
		}
	}
	told.Next = "→ ECR makes no repository on a push; make those that are missing, then push again:\n  " + strings.Join(commands, "\n  ")
	return &told
}

// IsImmutable reports whether a registry refused to move a tag, each in its own
// words.
func IsImmutable(err error) bool {
	var refused *Refusal
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Status {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusPreconditionFailed, http.StatusMethodNotAllowed:
	default:
		return false
	}
	text := strings.ToLower(refused.Code + " " + refused.Message)
	return strings.Contains(text, "immutab") || strings.Contains(text, "tag_invalid") || strings.Contains(text, "already exist") || strings.Contains(text, "never moves")
}
