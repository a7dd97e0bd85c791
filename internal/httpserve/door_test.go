package httpserve

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/constellation-serving/constellation/internal/satellite/identity/identitytest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// door serves by TLS as the mothership does, and returns its address and how to ask.
func door(t *testing.T) (string, *tls.Config) {
	t.Helper()
	authority, dir := identitytest.NewAuthority(t, "ours"), t.TempDir()
	certificate, key := authority.Issue(t, nil, "m.example")
	for name, data := range map[string][]byte{"crt": certificate, "key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	listener, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	handler := RequestID(LimitBody(1000)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		_, _ = io.WriteString(w, r.Proto)
	})))
	go func() {
		ended <- Serve(ctx, Config{Listener: listener, TLSCert: filepath.Join(dir, "crt"), TLSKey: filepath.Join(dir, "key"), Log: slog.New(slog.DiscardHandler), Grace: time.Second}, handler)
	}()
	t.Cleanup(func() {
		cancel()
		if err := waittest.Receive(t, "the end of the server", ended); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), &tls.Config{RootCAs: authority.Pool(), ServerName: "m.example"}
}

// What is too large is refused at the door, by HTTP/1.1 and HTTP/2 alike.
func TestDoorIsBounded(t *testing.T) {
	t.Parallel()
	address, config := door(t)
	for _, http2 := range []bool{true, false} {
		transport := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: http2}
		for _, test := range []struct {
			header, body int
			length       bool // said beforehand
			want         int
		}{
			{10, 10, true, http.StatusOK}, {60 << 10, 0, true, http.StatusOK}, {80 << 10, 0, true, http.StatusRequestHeaderFieldsTooLarge},
			{10, 2000, true, http.StatusRequestEntityTooLarge}, {10, 2000, false, http.StatusRequestEntityTooLarge},
		} {
			var body io.Reader = strings.NewReader(strings.Repeat("x", test.body))
			if !test.length {
				body = io.MultiReader(body)
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+address, body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Large", strings.Repeat("y", test.header))
			answer, err := transport.RoundTrip(r)
			if http2 && test.want == http.StatusRequestHeaderFieldsTooLarge && err != nil && strings.Contains(err.Error(), "larger than peer's advertised limit") {
				continue // who asks was told beforehand
			}
			if err != nil {
				t.Errorf("HTTP/2 %v, %+v: %v", http2, test, err)
				continue
			}
			_ = answer.Body.Close()
			if answer.StatusCode != test.want || (answer.ProtoMajor == 2) != http2 {
				t.Errorf("HTTP/2 %v, %+v: %s %d, want %d", http2, test, answer.Proto, answer.StatusCode, test.want)
			}
		}
		transport.CloseIdleConnections()
	}
}

// The settings that a client is told bound what one connection may have under way.
func TestHTTP2Settings(t *testing.T) {
	t.Parallel()
	address, config := door(t)
	config.NextProtos = []string{"h2"}
	raw, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, config)
	defer conn.Close()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(waittest.Timeout))
	frame, err := framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings, ok := frame.(*http2.SettingsFrame)
	if !ok {
		t.Fatalf("the server begins with %v", frame)
	}
	if n, ok := settings.Value(http2.SettingMaxConcurrentStreams); !ok || n != maxStreams {
		t.Errorf("streams at once: %d, %v", n, ok)
	}
	if n, ok := settings.Value(http2.SettingMaxHeaderListSize); !ok || n > 2*maxHeader {
		t.Errorf("a header's bytes: %d, %v", n, ok)
	}
}
