package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/outbound"
)

// How a mail server is talked to.
const (
	MailStartTLS = "starttls" // in the clear first; a server that cannot is refused
	MailTLS      = "tls"
	MailPlain    = "none" // nothing is encrypted, and no password sent
)

const mailTimeout = 30 * time.Second

// Mail is the mail server that messages go by. Whoever configures the mothership names
// it, so private addresses are fine.
type Mail struct {
	Host         string
	Port         int
	TLS          string         // one of the constants
	User         string         // "" does not sign in
	PasswordFile string         // read for each mail
	From         string         // an address
	Roots        *x509.CertPool // nil is the system's

	within time.Duration // of tests; 0 is mailTimeout
}

// send sends a mail once; its errors are of type *sendError.
func (m *Mail) send(ctx context.Context, to []string, id string, at time.Time, publicURL string, message *constellation.NoticeMessage) error {
	within := mailTimeout
	if m.within > 0 {
		within = m.within
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := m.exchange(ctx, to, mailText(m.From, to, id, at, publicURL, message))
	if err == nil {
		return nil
	}
	e := &sendError{}
	if errors.As(err, &e) {
		return e
	}
	var network net.Error
	if ctx.Err() != nil || errors.As(err, &network) && network.Timeout() {
		return &sendError{text: fmt.Sprintf("the mail server %s took longer than %s", m.Host, within)}
	}
	e.text = plain(fmt.Sprintf("mail by %s: %s", m.Host, err), maxText)
	var protocol *textproto.Error
	e.permanent = errors.As(err, &protocol) && protocol.Code >= 500
	return e
}

func (m *Mail) exchange(ctx context.Context, to []string, text []byte) error {
	client, err := m.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // ended by Quit, or broken
	if err := m.authenticate(client); err != nil {
		return err
	}
	if err := client.Mail(m.From); err != nil {
		return err
	}
	var refused error
	taken := 0
	for _, r := range to {
		err := client.Rcpt(r)
		var protocol *textproto.Error
		switch {
		case err == nil:
			taken++
		case errors.As(err, &protocol) && protocol.Code >= 500:
			refused = err // others may be fine
		default:
			return err // greylisting: all of them once more, later
		}
	}
	if taken == 0 {
		return refused
	}
	body, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := body.Write(text); err != nil {
		return err
	}
	if err := body.Close(); err != nil {
		return err
	}
	_ = client.Quit() // it was taken
	return nil
}

// connect connects and, unless that is not wanted, encrypts; the server's certificate
// is verified.
func (m *Mail) connect(ctx context.Context) (*smtp.Client, error) {
	dialer := &outbound.Dialer{Check: func(host string, at netip.Addr) error {
		if outbound.Metadata(at) || outbound.NoHost(at) {
			return fmt.Errorf("%s has the address %s, at which no mail server is", host, at)
		}
		return nil
	}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(m.Host, strconv.Itoa(m.Port)))
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	config := &tls.Config{ServerName: m.Host, RootCAs: m.Roots, MinVersion: tls.VersionTLS12}
	if m.TLS == MailTLS {
		encrypted := tls.Client(conn, config)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = encrypted
	}
	client, err := smtp.NewClient(conn, m.Host)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := client.Hello(helloName()); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	if m.TLS == MailStartTLS {
		if ok, _ := client.Extension("STARTTLS"); !ok {
			return nil, errors.Join(errors.New("it does not encrypt (STARTTLS): set --smtp-tls to tls, or to none for a server in a network of one's own"), client.Close())
		}
		if err := client.StartTLS(config); err != nil {
			return nil, errors.Join(err, client.Close())
		}
	}
	return client, nil
}

// helloName is what this machine calls itself to mail servers.
func helloName() string {
	name, err := os.Hostname()
	if err != nil || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "localhost"
	}
	return name
}

func (m *Mail) authenticate(client *smtp.Client) error {
	if m.User == "" {
		return nil
	}
	password, err := os.ReadFile(m.PasswordFile)
	if err != nil {
		return &sendError{text: "the file of --smtp-password-file cannot be read"}
	}
	secret := strings.TrimRight(string(password), "\r\n")
	ok, ways := client.Extension("AUTH")
	if !ok {
		return &sendError{text: fmt.Sprintf("the mail server %s lets nobody sign in; leave --smtp-user out", m.Host)}
	}
	auth := smtp.PlainAuth("", m.User, secret, m.Host)
	if !strings.Contains(" "+ways+" ", " PLAIN ") && strings.Contains(" "+ways+" ", " LOGIN ") {
		auth = &loginAuth{user: m.User, password: secret}
	}
	if err := client.Auth(auth); err != nil {
		var protocol *textproto.Error
		if errors.As(err, &protocol) { // what it says may have what was sent
			return &sendError{text: fmt.Sprintf("the mail server %s refuses the user and the password of --smtp-user (%d)", m.Host, protocol.Code)}
		}
		return &sendError{text: plain(fmt.Sprintf("sign in at the mail server %s: %s", m.Host, err), maxText)}
	}
	return nil
}

// loginAuth is AUTH LOGIN, which some servers have alone.
type loginAuth struct{ user, password string }

// Start is part of smtp.Auth.
func (a *loginAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS {
		return "", nil, errors.New("a password is sent over an encrypted connection alone")
	}
	return "LOGIN", nil, nil
}

// Next is part of smtp.Auth.
func (a *loginAuth) Next(asked []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	switch question := strings.ToLower(strings.TrimSpace(string(asked))); {
	case strings.HasPrefix(question, "user"):
		return []byte(a.user), nil
	case strings.HasPrefix(question, "pass"):
		return []byte(a.password), nil
	}
	return nil, errors.New("it asks for something else than user and password")
}

// mailText is a mail, its headers encoded so that nothing in a name becomes one.
func mailText(from string, to []string, id string, at time.Time, publicURL string, m *constellation.NoticeMessage) []byte {
	var b bytes.Buffer
	_, domain, _ := strings.Cut(from, "@")
	for _, header := range [][2]string{
		{"From", "Constellation <" + from + ">"}, {"To", strings.Join(to, ",\r\n ")},
		{"Subject", mime.QEncoding.Encode("utf-8", plain("[Constellation] "+m.Title, maxName))},
		{"Date", at.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700")},
		{"Message-ID", "<" + id + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, {"X-Auto-Response-Suppress", "All"},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(header[0] + ": " + header[1] + "\r\n")
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(plainBody(publicURL, m)))
	_ = w.Close() // into memory
	return b.Bytes()
}

// plainBody is what a mail says.
func plainBody(publicURL string, m *constellation.NoticeMessage) string {
	var b strings.Builder
	b.WriteString(m.Title + "\r\n\r\n")
	if l := lead(m); l != "" {
		b.WriteString(l + "\r\n\r\n")
	}
	for i := range m.Notices {
		n := &m.Notices[i]
		who, what := line(n)
		b.WriteString(who + "\r\n  " + what + "\r\n  " + stamp(n.At) + "\r\n")
		if at := link(publicURL, n); at != "" {
			b.WriteString("  " + at + "\r\n")
		}
		b.WriteString("\r\n")
	}
	if more := rest(m); more != "" {
		b.WriteString(more + "\r\n\r\n")
	}
	if m.Rule != "" {
		b.WriteString("Told by the rule " + m.Rule + " of " + publicURL + "\r\n")
	}
	return b.String()
}
