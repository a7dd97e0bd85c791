package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/tracing"
	"github.com/constellation-serving/constellation/internal/webhook"
)

// Bounds of one attempt.
const (
	postTimeout = 15 * time.Second
	mostAnswer  = 4 << 10 // of what a receiver answers is looked at
	mostAsked   = time.Hour
)

// sendError is why a message was not taken. Its text may be shown: it has no secret.
type sendError struct {
	text      string
	permanent bool          // another attempt would end the same
	gone      bool          // the receiver says that it is no more
	after     time.Duration // it asked to be left alone for so long
}

// Error is part of error.
func (e *sendError) Error() string { return e.text }

// sender sends messages.
type sender struct {
	publicURL string
	mail      *Mail
	client    *http.Client
	now       func() time.Time
}

func newSender(c Config) *sender {
	check := c.Check
	if check == nil {
		check = publicOnly
	}
	dialer := &outbound.Dialer{Check: check}
	return &sender{publicURL: strings.TrimSuffix(c.PublicURL, "/"), mail: c.Mail, now: c.Now, client: &http.Client{
		Timeout: postTimeout,
		Transport: tracing.Transport(&http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, DisableKeepAlives: true, ForceAttemptHTTP2: true,
			MaxResponseHeaderBytes: 64 << 10, ResponseHeaderTimeout: postTimeout,
		}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// publicOnly refuses addresses that are no public host's.
func publicOnly(host string, at netip.Addr) error {
	if why := outbound.NotPublic(at); why != "" {
		return fmt.Errorf("%s is at %s, which is %s: messages go to public addresses, and to what this mothership's setting outbound-allow names", host, at, why)
	}
	return nil
}

// send sends a message once. Its errors are of type *sendError.
func (s *sender) send(ctx context.Context, d *constellation.Destination, secret constellation.DestinationSecret, id string, created time.Time, m *constellation.NoticeMessage) error {
	var body []byte
	var err error
	header := http.Header{}
	switch d.Kind {
	case constellation.DestinationEmail:
		if s.mail == nil {
			return &sendError{text: "this mothership sends no mail: it has no --smtp-host"}
		}
		ctx, span := tracing.Start(ctx, "SMTP", tracing.Client)
		span.Set("server.address", s.mail.Host)
		err := s.mail.send(ctx, strings.Split(d.Address, ", "), id, created, s.publicURL, m)
		span.End(err)
		return err
	case constellation.DestinationSlack:
		body, err = slackBody(s.publicURL, m)
	case constellation.DestinationTeams:
		body, err = teamsBody(s.publicURL, m)
	case constellation.DestinationWebhook:
		if body, err = webhookBody(s.publicURL, id, m, created); err == nil {
			err = sign(header, secret.Secret, id, s.now(), body)
		}
	}
	if err != nil {
		return &sendError{text: "write the message: " + err.Error(), permanent: true}
	}
	return s.post(ctx, secret.URL, header, body)
}

func sign(header http.Header, secret, id string, at time.Time, body []byte) error {
	key, err := webhook.ParseSecret(secret)
	if err != nil {
		return fmt.Errorf("the secret is of no use: %w", err)
	}
	header.Set(webhook.HeaderID, id)
	header.Set(webhook.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(webhook.HeaderSignature, webhook.Sign(key, id, at, body))
	return nil
}

func (s *sender) post(ctx context.Context, target string, header http.Header, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return &sendError{text: "the URL cannot be used", permanent: true}
	}
	request.Header = header
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "constellation")
	answer, err := s.client.Do(request)
	if err != nil {
		var asked *url.Error // whose URL may be the secret
		if errors.As(err, &asked) {
			if asked.Timeout() {
				return &sendError{text: fmt.Sprintf("%s did not answer within %s", request.URL.Host, postTimeout)}
			}
			err = asked.Err
		}
		return &sendError{text: plain(fmt.Sprintf("post to %s: %s", request.URL.Host, err), maxText)}
	}
	defer answer.Body.Close() //nolint:errcheck // the rest of it is not wanted
	said, _ := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	return judge(request.URL.Host, answer, string(said))
}

// judge returns nil when an answer says that the message was taken.
func judge(host string, answer *http.Response, said string) error {
	e := &sendError{text: fmt.Sprintf("%s answers %d", host, answer.StatusCode)}
	if said = plain(strings.TrimSpace(said), 120); said != "" && !strings.HasPrefix(said, "<") {
		e.text += ": " + said
	}
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300 && !strings.HasPrefix(said, "Webhook message delivery failed"): // as Teams says with 200
		return nil
	case code >= 300 && code < 400:
		e.text = fmt.Sprintf("%s answers %d and sends on elsewhere: name that address itself", host, code)
	case code == http.StatusGone:
		e.gone, e.permanent = true, true
	case code == http.StatusBadRequest || code == http.StatusRequestEntityTooLarge || code == http.StatusUnsupportedMediaType || code == http.StatusUnprocessableEntity:
		e.permanent = true
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
			e.after = min(time.Duration(seconds)*time.Second, mostAsked)
		}
	}
	return e
}
