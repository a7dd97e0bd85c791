package autotls

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

// rateLimited reports whether an authority was asked too often, and how long it
// wants to be left alone.
func rateLimited(err error) (time.Duration, bool) {
	var e *acme.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return acme.RateLimit(e)
}

// explain turns what went wrong into a sentence that says what to do.
func (m *Manager) explain(err error) error {
	authority := m.opts.Directory
	if u, parseErr := url.Parse(authority); parseErr == nil {
		authority = u.Host
	}
	var (
		refused  *acme.AuthorizationError
		order    *acme.OrderError
		answered *acme.Error
		unknown  x509.UnknownAuthorityError
		dial     net.Error
		asked    *url.Error
	)
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%s could not see that %s is this server's: %s; %s", authority, refused.Identifier, details(refused.Errors), m.mend(refused.Identifier))
	case errors.As(err, &order):
		return fmt.Errorf("%s made no certificate: the order is %s", authority, order.Status)
	case errors.As(err, &answered):
		if _, limited := acme.RateLimit(answered); limited {
			return fmt.Errorf("%s was asked too often: %s", authority, oneLine(answered.Detail))
		}
		return fmt.Errorf("%s refuses (%s): %s", authority, problem(answered), oneLine(answered.Detail))
	case errors.As(err, &unknown):
		return fmt.Errorf("the certificate of %s is signed by no authority that this machine knows; give its root with --acme-ca-file", authority)
	case errors.As(err, &asked):
		return fmt.Errorf("%s is not reached: %w", authority, asked.Err)
	case errors.As(err, &dial):
		return fmt.Errorf("%s is not reached: %w", authority, err)
	}
	return err
}

// mend says what lets an authority reach a host.
func (m *Manager) mend(host string) string {
	if m.opts.Challenge == ChallengeHTTP {
		return "its name must lead here, and port 80 of it to --acme-http-listen"
	}
	return "its name must lead here, and port 443 of it to --listen without a proxy that ends TLS (" + host + ")"
}

func details(list []error) string {
	var texts []string
	for _, err := range list {
		var e *acme.Error
		if errors.As(err, &e) {
			texts = append(texts, oneLine(e.Detail))
		}
	}
	if len(texts) == 0 {
		return "it does not say why"
	}
	return strings.Join(texts, "; ")
}

func problem(e *acme.Error) string {
	return strings.TrimPrefix(e.ProblemType, "urn:ietf:params:acme:error:")
}

// oneLine is what somebody else wrote, as it may stand in a log.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	return strings.ToValidUTF8(text, "")
}
