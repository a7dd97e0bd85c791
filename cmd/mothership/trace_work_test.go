package main

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/signon/signontest"
)

// mailbox is a mail server that takes what comes by TLS with its password.
type mailbox struct {
	password string
	mails    atomic.Int64
}

// NewSession is part of smtp.Backend.
func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &mailboxSession{m, false}, nil }

type mailboxSession struct {
	*mailbox
	in bool
}

func (s *mailboxSession) Reset()                   {}
func (s *mailboxSession) Logout() error            { return nil }
func (s *mailboxSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailboxSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, password string) error {
		if s.in = password == s.password; !s.in {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *mailboxSession) Mail(string, *smtp.MailOptions) error {
	if !s.in {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *mailboxSession) Rcpt(string, *smtp.RcptOptions) error { return nil }

func (s *mailboxSession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	s.mails.Add(1)
	return err
}

// newMailbox starts a mail server that the servers which a test starts from now on
// trust, and returns their settings of it.
func newMailbox(t *testing.T, password string) (m *mailbox, args []string) {
	t.Helper()
	lent := httptest.NewTLSServer(http.NotFoundHandler()) // its certificate is for 127.0.0.1
	t.Cleanup(lent.Close)
	dir := t.TempDir()
	roots, secret := filepath.Join(dir, "roots.pem"), filepath.Join(dir, "password")
	for path, data := range map[string][]byte{
		roots: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: lent.Certificate().Raw}), secret: []byte(password),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SSL_CERT_FILE", roots)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: lent.TLS.Certificates, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	m = &mailbox{password: password}
	server := smtp.NewServer(m)
	server.Domain, server.ErrorLog = "mail.test", log.New(io.Discard, "", 0)
	go func() { _ = server.Serve(listener) }() // until it is closed
	t.Cleanup(func() { _ = server.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return m, []string{"--smtp-host", "127.0.0.1", "--smtp-port", port, "--smtp-tls", "tls", "--smtp-user", "mothership", "--smtp-password-file", secret, "--smtp-from", "mothership@corp.example"}
}

// tracesCollection has a garbage collection remove an image, whose spans are below the
// request that asked for it.
func (c *crasher) tracesCollection(t *testing.T, to *collector, send func(id, method, path, body string, want int) string) {
	t.Helper()
	const id = "0af7651916cd43dd8448eb211c8031a0"
	hash := strings.Repeat("6b", 20)
	image, err := loadtest.RandomImage()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := c.Reference(hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, c.Options(t.Context())...); err != nil {
		t.Fatal(err)
	}
	send(id, "DELETE", "/v1/algorithms/neo/crash/versions/"+hash, "", 204)
	send(id, "POST", "/v1/system/collections", "", 201)
	const job = "POST /v1/system/collections > job collect_now"
	collected := to.trace(t, id, "job collect_now", "storage delete")
	for _, ending := range []string{job + " > transaction > COMMIT", job + " > storage delete"} {
		if !collected.has(ending) {
			t.Errorf("no span of the garbage collection is %s", ending)
		}
	}
}

// tracesMail sends a test by e-mail.
func tracesMail(t *testing.T, to *collector, box *mailbox, send func(id, method, path, body string, want int) string) {
	t.Helper()
	const id = "0af7651916cd43dd8448eb211c8031a1"
	var destination struct{ ID string }
	made := send(id, "POST", "/v1/notifications/destinations", `{"name":"by mail","kind":"email","recipients":["ops@corp.example"]}`, 201)
	if err := json.Unmarshal([]byte(made), &destination); err != nil {
		t.Fatal(err)
	}
	send(id, "POST", "/v1/notifications/destinations/"+destination.ID+"/test", "", 201)
	const sent = "POST /v1/notifications/destinations/{destination_id}/test > job notification_deliver > SMTP"
	mailed := to.trace(t, id, "SMTP", "job notification_deliver")
	if !mailed.has(sent) {
		t.Errorf("no span of the mail is %s", sent)
	}
	for _, span := range mailed.named("SMTP") {
		if attribute(span.Attributes, "server.address") != "127.0.0.1" {
			t.Errorf("a mail's span does not name its server: %v", span)
		}
	}
	if n := box.mails.Load(); n != 1 {
		t.Errorf("the mail server took %d mails, want 1", n)
	}
}

// tracesSignIn signs somebody in by a provider, and returns what of that is secret.
func (c *crasher) tracesSignIn(t *testing.T, to *collector, at *signontest.Provider) (secrets []string) {
	t.Helper()
	const id = "0af7651916cd43dd8448eb211c8031a2"
	at.Person("1", "trinity", nil, "ops")
	b := browser(t)
	begun, _ := fetch(t, b, "GET", c.URL+"/login/corp", "", "Traceparent", parentOf(id))
	if begun.StatusCode != http.StatusSeeOther {
		t.Fatalf("a sign-in begins with %s", begun.Status)
	}
	back := at.SignIn(t, begun.Header.Get("Location"))
	done, body := fetch(t, b, "GET", c.URL+"/login/corp/callback?"+back.Encode(), "", "Traceparent", parentOf(id))
	if done.StatusCode != http.StatusSeeOther {
		t.Fatalf("a sign-in ends with %s: %s", done.Status, body)
	}
	const callback = "GET /login/{provider}/callback"
	signedIn := to.trace(t, id, "GET /login/{provider}", callback)
	for _, ending := range []string{callback + " > POST", callback + " > transaction > INSERT accounts", callback + " > transaction > COMMIT"} {
		if !signedIn.has(ending) {
			t.Errorf("no span of the sign-in is %s", ending)
		}
	}
	for _, cookie := range append(begun.Cookies(), done.Cookies()...) {
		if cookie.Value != "" {
			secrets = append(secrets, cookie.Value)
		}
	}
	if len(secrets) < 3 { // the sign-in that is kept, the session and the device
		t.Errorf("a sign-in sets %d cookies", len(secrets))
	}
	return append(secrets, back.Get("code"), back.Get("state"), signontest.ClientSecret, "refresh-", "code_challenge", "eyJ") // as the provider's tokens begin
}
