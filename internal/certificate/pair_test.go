package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/satellite/identity/identitytest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// files are a certificate's, as a mounted Secret has them.
type files struct {
	t    *testing.T
	dir  string
	log  *waittest.Buffer
	opts Options
}

func newFiles(t *testing.T) *files {
	f := &files{t: t, dir: t.TempDir(), log: &waittest.Buffer{}}
	f.opts = Options{
		CertFile: filepath.Join(f.dir, "tls.crt"), KeyFile: filepath.Join(f.dir, "tls.key"),
		Now: time.Now, Log: slog.New(slog.NewTextHandler(f.log, nil)),
	}
	return f
}

func (f *files) write(certificate, key []byte) {
	f.t.Helper()
	for path, data := range map[string][]byte{f.opts.CertFile: certificate, f.opts.KeyFile: key} {
		if err := os.WriteFile(path+".new", data, 0o600); err != nil {
			f.t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *files) load() *Pair {
	f.t.Helper()
	c, err := Load(f.opts)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// serve answers by TLS with HTTP/1.1 and HTTP/2.
func serve(t *testing.T, c *Pair) (url string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	s.Listener = tls.NewListener(s.Listener, c.Config())
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetHTTP2(true)
	s.Config.TLSConfig = c.Config()
	s.Start()
	t.Cleanup(s.Close)
	return "https://" + s.Listener.Addr().String()
}

func get(ctx context.Context, url string, config *tls.Config, http2 bool) (proto string, seen *x509.Certificate, err error) {
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: http2}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", nil, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), response.TLS.PeerCertificates[0], err
}

func TestTLSVersionsAndHTTP2(t *testing.T) {
	t.Parallel()
	authority, f := identitytest.NewAuthority(t, "ours"), newFiles(t)
	f.write(authority.Issue(t, nil, "engine.example"))
	url := serve(t, f.load())
	for _, test := range []struct {
		least, most uint16
		http2       bool
		want        string
	}{
		{0, 0, true, "HTTP/2.0"},
		{0, 0, false, "HTTP/1.1"},
		{0, tls.VersionTLS12, true, "HTTP/2.0"},
		{tls.VersionTLS10, tls.VersionTLS11, false, ""},
	} {
		config := &tls.Config{MinVersion: test.least, MaxVersion: test.most, RootCAs: authority.Pool()}
		if proto, _, err := get(t.Context(), url, config, test.http2); proto != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%+v: %q, %v, want %q", test, proto, err, test.want)
		}
	}
}

// Certificates change under load, and no call fails; what is broken leaves the one
// in use.
func TestCertificatesChangeUnderLoad(t *testing.T) {
	t.Parallel()
	authority, f := identitytest.NewAuthority(t, "ours"), newFiles(t)
	f.write(authority.Issue(t, nil, "engine.example"))
	c := f.load()
	url, config := serve(t, c), &tls.Config{RootCAs: authority.Pool()}
	ctx, stop := context.WithCancel(t.Context())
	var calls atomic.Int64
	var load errgroup.Group
	for range 4 {
		load.Go(func() error {
			for ctx.Err() == nil {
				if _, _, err := get(t.Context(), url, config, false); err != nil {
					return err
				}
				calls.Add(1)
			}
			return nil
		})
	}
	for range 20 {
		certificate, key := authority.Issue(t, nil, "engine.example")
		if err := os.WriteFile(f.opts.CertFile, certificate, 0o600); err != nil {
			t.Fatal(err)
		}
		c.look() // the new certificate with the old key
		if c.Current() || !strings.Contains(f.log.String(), "the old one stays in use") {
			t.Fatal("a certificate that is not of its key is not refused")
		}
		f.write(certificate, key)
		c.look()
		if !c.Current() {
			t.Fatalf("a good pair is refused:\n%s", f.log)
		}
		_, seen, err := get(t.Context(), url, config, false)
		if want := c.pair.Load().Leaf; err != nil || !seen.Equal(want) {
			t.Fatalf("callers see %v, %v; want the new certificate", seen, err)
		}
	}
	stop()
	if err := load.Wait(); err != nil || calls.Load() == 0 {
		t.Errorf("calls while certificates changed: %d, %v", calls.Load(), err)
	}
	for name, write := range map[string]func(){
		"missing": func() { _ = os.Remove(f.opts.KeyFile) },
		"empty":   func() { f.write(nil, nil) },
		"large":   func() { f.write(make([]byte, maxFile+1), nil) },
	} {
		write()
		c.look()
		c.look()
		if c.Current() {
			t.Errorf("files that are %s are taken", name)
		}
		if _, _, err := get(t.Context(), url, config, false); err != nil {
			t.Errorf("a call when the files are %s: %v", name, err)
		}
	}
}

// Only a start without a certificate fails, and says why.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	authority, f := identitytest.NewAuthority(t, "ours"), newFiles(t)
	if _, err := Load(f.opts); err == nil || !strings.Contains(err.Error(), f.opts.CertFile) {
		t.Errorf("Load without files = %v, want it to name %s", err, f.opts.CertFile)
	}
	certificate, _ := authority.Issue(t, nil, "a.example")
	_, key := authority.Issue(t, nil, "a.example")
	f.write(certificate, key)
	if _, err := Load(f.opts); err == nil || !strings.Contains(err.Error(), "private key does not match public key") {
		t.Errorf("Load of a certificate with another's key = %v", err)
	}
}

func TestTheEndOfACertificateIsToldOnceADay(t *testing.T) {
	t.Parallel()
	authority, f := identitytest.NewAuthority(t, "ours"), newFiles(t)
	var ahead atomic.Int64
	f.opts.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	f.write(authority.Issue(t, func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(90 * 24 * time.Hour) }, "a.example"))
	c := f.load()
	for day := range int64(92) {
		ahead.Store(day * int64(24*time.Hour))
		c.look()
		c.look()
		warned := strings.Count(f.log.String(), "ends soon")
		if want := max(0, int(day)-75); warned != want {
			t.Fatalf("after %d days there are %d warnings, want %d", day, warned, want)
		}
	}
	f.write(authority.Issue(t, func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(200 * 24 * time.Hour) }, "a.example"))
	before := f.log.String()
	c.look()
	if after := strings.TrimPrefix(f.log.String(), before); strings.Contains(after, "ends soon") {
		t.Errorf("a new certificate is warned of: %s", after)
	}
}

// A caller who sends nothing holds a connection until the server's time-out, and
// nobody else.
func TestAHandshakeThatNeverComes(t *testing.T) {
	t.Parallel()
	authority, f := identitytest.NewAuthority(t, "ours"), newFiles(t)
	f.write(authority.Issue(t, nil, "engine.example"))
	c := f.load()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: 2 * time.Second, Handler: http.NotFoundHandler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(tls.NewListener(plain, c.Config())) }()
	t.Cleanup(func() { _ = s.Close(); _ = waittest.Receive(t, "the end of Serve", ended) })
	for _, hello := range []string{"", "\x16\x03\x01", "GET / HTTP/1.1\r\n"} {
		conn, err := net.Dial("tcp", plain.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, hello)
		_ = conn.SetReadDeadline(time.Now().Add(waittest.Timeout))
		if _, err := io.ReadAll(conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("a connection that sent %q was not closed: %v", hello, err)
		}
	}
	if _, _, err := get(t.Context(), "https://"+plain.Addr().String(), &tls.Config{RootCAs: authority.Pool()}, false); err != nil {
		t.Errorf("a call beside them: %v", err)
	}
}
