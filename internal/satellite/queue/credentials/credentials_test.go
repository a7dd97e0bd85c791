package credentials

import (
	"bytes"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
)

func derived(t *testing.T, secret string) *Credentials {
	t.Helper()
	c, err := Derive([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheSameSecretGivesTheSame(t *testing.T) {
	t.Parallel()
	a, b, other := derived(t, "a launch's token"), derived(t, " a launch's token\n"), derived(t, "another launch's token")
	if !bytes.Equal(a.authority.Raw, b.authority.Raw) || a.Engine != b.Engine || a.Node != b.Node {
		t.Error("two that have the same secret differ")
	}
	if bytes.Equal(a.authority.Raw, other.authority.Raw) || a.Engine == other.Engine || a.Node == other.Node || a.Engine.Password == a.Node.Password {
		t.Error("what is to differ is the same")
	}
	for _, short := range []string{"", "  \n", "1234567 "} {
		if _, err := Derive([]byte(short)); err == nil || !strings.Contains(err.Error(), "too short") {
			t.Errorf("Derive(%q) = %v, want an error", short, err)
		}
	}
}

// TestALinkNeedsTheSameSecret at both of its ends.
func TestALinkNeedsTheSameSecret(t *testing.T) {
	t.Parallel()
	server := derived(t, "a launch's token").TLS()
	for _, tt := range []struct {
		name   string
		client *tls.Config
		ok     bool
	}{
		{"the same secret", derived(t, "a launch's token").TLS(), true},
		{"another secret", derived(t, "another launch's token").TLS(), false},
		{"another secret that believes anybody", func() *tls.Config {
			c := derived(t, "another launch's token").TLS()
			c.InsecureSkipVerify = true
			return c
		}(), false},
		{"no certificate", &tls.Config{InsecureSkipVerify: true}, false},
	} {
		if err := link(t, server, tt.client); (err == nil) != tt.ok {
			t.Errorf("%s: %v, want it let in: %v", tt.name, err, tt.ok)
		}
	}
}

// link returns what either end says against a link of the two.
func link(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
		served <- err
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), client)
	if err == nil {
		_ = conn.Close()
	}
	return errors.Join(err, <-served)
}
