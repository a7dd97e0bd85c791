package notify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// mailServer is a mail server that does what a test has it do.
type mailServer struct {
	mu        sync.Mutex
	mails     []string
	to        []string
	signedIn  bool
	wantsUser bool
	ways      []string
	rcpt      func(to string) error
	data      func() error
}

// NewSession is part of smtp.Backend.
func (s *mailServer) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &mailSession{mailServer: s}, nil
}

type mailSession struct {
	*mailServer
	in bool
}

func (s *mailSession) Reset()                   {}
func (s *mailSession) Logout() error            { return nil }
func (s *mailSession) AuthMechanisms() []string { return s.ways }

func (s *mailSession) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, password string) error {
		if user != "mothership" || password != "correct horse" {
			return smtp.ErrAuthFailed
		}
		s.in = true
		s.mu.Lock()
		s.signedIn = true
		s.mu.Unlock()
		return nil
	}
	if mechanism == "LOGIN" {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
}

func (s *mailSession) Mail(string, *smtp.MailOptions) error {
	if s.wantsUser && !s.in {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.rcpt != nil {
		if err := s.rcpt(to); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = append(s.to, to)
	return nil
}

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.data != nil {
		if err := s.data(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, string(text))
	return nil
}

// loginServer is the server's side of AUTH LOGIN.
type loginServer struct {
	check func(user, password string) error
	step  int
	user  string
}

func (l *loginServer) Next(answer []byte) (challenge []byte, done bool, err error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(answer)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(answer))
}

// certificate makes one for 127.0.0.1, and who trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// mailer starts a mail server and returns what a mothership is told of it.
func mailer(t *testing.T, backend *mailServer, mode string) *Mail {
	t.Helper()
	own, roots := certificate(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	server := smtp.NewServer(backend)
	server.Domain, server.ErrorLog = "mail.test", log.New(io.Discard, "", 0)
	config := &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12}
	switch mode {
	case MailStartTLS:
		server.TLSConfig = config
	case MailTLS:
		listener = tls.NewListener(listener, config)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // until it is closed
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	file := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(file, []byte("correct horse\n"), 0o600))
	return &Mail{Host: "127.0.0.1", Port: port, TLS: mode, User: "mothership", PasswordFile: file, From: "constellation@example.com", Roots: roots}
}

func testMail(m *Mail, t *testing.T, to ...string) error {
	t.Helper()
	evil := "Prod\r\nBcc: all@example.com\r\n\r\n<b>é</b>"
	message := compose(&constellation.NotificationRule{Name: "ops"}, []constellation.Notice{{At: start, Kind: stale, SubjectKind: "launch", SubjectID: "l", SubjectName: evil, Text: "no heartbeat\r\n.\r\nQUIT"}})
	return m.send(t.Context(), to, "0b0f9a1e-0000-4000-8000-000000000001", start, "https://mothership.example.com", message)
}

func TestMail(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode string
		ways []string
	}{{MailStartTLS, []string{"PLAIN"}}, {MailTLS, []string{"PLAIN", "LOGIN"}}, {MailStartTLS, []string{"LOGIN"}}} {
		backend := &mailServer{wantsUser: true, ways: test.ways}
		m := mailer(t, backend, test.mode)
		if err := testMail(m, t, "ops@example.com", "neo@example.com"); err != nil {
			t.Errorf("%s %v: %v", test.mode, test.ways, err)
			continue
		}
		if !backend.signedIn || len(backend.mails) != 1 || strings.Join(backend.to, " ") != "ops@example.com neo@example.com" {
			t.Errorf("%s: %+v", test.mode, backend)
			continue
		}
		read, err := mail.ReadMessage(strings.NewReader(backend.mails[0]))
		must(t, err)
		subject, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
		must(t, err)
		body, err := io.ReadAll(quotedprintable.NewReader(read.Body))
		must(t, err)
		if subject != "[Constellation] Launch stale: Prod  Bcc: all@example.com    <b>é</b>" || read.Header.Get("Bcc") != "" ||
			read.Header.Get("Message-Id") != "<0b0f9a1e-0000-4000-8000-000000000001@example.com>" || !strings.Contains(string(body), "Told by the rule ops") {
			t.Errorf("%s: the mail is %q\n%v\n%s", test.mode, subject, read.Header, body)
		}
	}
}

func TestMailServersThatRefuse(t *testing.T) {
	t.Parallel()
	greylisted := func(string) error {
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted, come back later"}
	}
	unknown := func(to string) error {
		if strings.HasPrefix(to, "nobody") {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
		}
		return nil
	}
	for name, test := range map[string]struct {
		backend   *mailServer
		change    func(*Mail)
		to        string
		says      string
		permanent bool
	}{
		"greylisting":        {backend: &mailServer{rcpt: greylisted}, says: "greylisted"},
		"nobody":             {backend: &mailServer{rcpt: unknown}, to: "nobody@example.com", says: "no such user", permanent: true},
		"one of two":         {backend: &mailServer{rcpt: unknown}, to: "nobody@example.com,neo@example.com"},
		"refused":            {backend: &mailServer{data: func() error { return &smtp.SMTPError{Code: 554, Message: "spam"} }}, says: "spam", permanent: true},
		"full":               {backend: &mailServer{data: func() error { return &smtp.SMTPError{Code: 452, Message: "no room"} }}, says: "no room"},
		"wants a user":       {backend: &mailServer{wantsUser: true, ways: []string{"PLAIN"}}, change: func(m *Mail) { m.User = "" }, says: "authenticat", permanent: true},
		"another password":   {backend: &mailServer{wantsUser: true, ways: []string{"PLAIN"}}, change: func(m *Mail) { m.User = "someone" }, says: "refuses the user"},
		"another way":        {backend: &mailServer{ways: []string{"LOGIN"}}, change: func(m *Mail) { m.User = "someone" }, says: "refuses the user"},
		"no password":        {backend: &mailServer{ways: []string{"PLAIN"}}, change: func(m *Mail) { m.PasswordFile += ".gone" }, says: "smtp-password-file"},
		"a bad certificate":  {backend: &mailServer{ways: []string{"PLAIN"}}, change: func(m *Mail) { m.Roots = x509.NewCertPool() }, says: "certificate"},
		"nobody listens":     {backend: &mailServer{}, change: func(m *Mail) { m.Port = 1 }, says: "connection refused"},
		"metadata":           {backend: &mailServer{}, change: func(m *Mail) { m.Host = "169.254.169.254" }, says: "at which no mail server is"},
		"TLS to a plain one": {backend: &mailServer{}, change: func(m *Mail) { m.TLS = MailTLS }, says: "tls"},
	} {
		if test.backend.ways == nil {
			test.backend.ways = []string{"PLAIN"}
		}
		m := mailer(t, test.backend, MailStartTLS)
		if test.change != nil {
			test.change(m)
		}
		to := "ops@example.com"
		if test.to != "" {
			to = test.to
		}
		err := testMail(m, t, strings.Split(to, ",")...)
		if test.says == "" {
			if err != nil || len(test.backend.mails) != 1 {
				t.Errorf("%s: %v, %d mails", name, err, len(test.backend.mails))
			}
			continue
		}
		var e *sendError
		if !errors.As(err, &e) || !strings.Contains(strings.ToLower(e.text), test.says) || e.permanent != test.permanent || strings.Contains(e.text, "correct horse") {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

// A password goes over no connection that is not encrypted, and STARTTLS is not left
// out because the server, or who is in between, does not offer it.
func TestMailInTheClear(t *testing.T) {
	t.Parallel()
	backend := &mailServer{ways: []string{"PLAIN"}}
	m := mailer(t, backend, MailPlain)
	m.TLS = MailStartTLS
	if err := testMail(m, t, "ops@example.com"); err == nil || !strings.Contains(err.Error(), "does not encrypt") {
		t.Errorf("a server without STARTTLS: %v", err)
	}
	m.TLS, m.User = MailPlain, ""
	if err := testMail(m, t, "ops@example.com"); err != nil || len(backend.mails) != 1 {
		t.Errorf("in the clear, as set: %v", err)
	}
}

func TestSlowMailServer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() }) // says nothing
		}
	}()
	m := &Mail{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, TLS: MailStartTLS, From: "c@example.com", within: 200 * time.Millisecond}
	if err := testMail(m, t, "ops@example.com"); err == nil || !strings.Contains(err.Error(), "took longer than") {
		t.Errorf("a server that says nothing: %v", err)
	}
}
