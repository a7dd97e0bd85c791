package autotls

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

// challengeLife is how long the answer to a challenge is kept: the authority asks
// within seconds.
const challengeLife = time.Hour

// ChallengePath is where an authority asks by HTTP.
const ChallengePath = "/.well-known/acme-challenge/"

// set has every server answer a challenge from now on.
func (m *Manager) set(ctx context.Context, client *acme.Client, host string, c *acme.Challenge) error {
	name, answer := "", []byte(nil)
	switch c.Type {
	case ChallengeTLS:
		pair, err := client.TLSALPN01ChallengeCert(c.Token, host)
		if err == nil {
			answer, err = writePair(&pair)
		}
		if err != nil {
			return fmt.Errorf("make the certificate of a challenge: %w", err)
		}
		name = "host/" + host
	case ChallengeHTTP:
		text, err := client.HTTP01ChallengeResponse(c.Token)
		if err != nil {
			return fmt.Errorf("answer a challenge: %w", err)
		}
		name, answer = "token/"+c.Token, []byte(text)
	}
	store, err := m.kept()
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.answers[name] = answer
	m.mu.Unlock()
	return store.Put(ctx, name, answer, m.opts.Now().Add(challengeLife))
}

// forget drops the answers of challenges that are over; in the store they end by
// themselves.
func (m *Manager) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.answers)
}

// answer returns the answer to a challenge that this server or another has set, nil
// when nobody did.
func (m *Manager) answer(ctx context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	own := m.answers[name]
	m.mu.Unlock()
	if own != nil {
		return own, nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	select {
	case <-m.open: // of a server that just starts, while another one asks
	case <-ctx.Done():
	}
	store, err := m.kept()
	if err != nil {
		return nil, err
	}
	return store.Value(ctx, name)
}

// challenge answers the authority's handshake.
func (m *Manager) challenge(ctx context.Context, host string) (*tls.Certificate, error) {
	if host = strings.ToLower(host); m.opts.Challenge != ChallengeTLS || !slices.Contains(m.opts.Hosts, host) {
		return nil, fmt.Errorf("nobody here is asked for %q", host)
	}
	value, err := m.answer(ctx, "host/"+host)
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, fmt.Errorf("no challenge for %s is under way", host)
	}
	return readPair(value)
}

var tokenForm = regexp.MustCompile(`^[A-Za-z0-9_-]{16,200}$`)

// Answer answers the authority's questions by HTTP, and has next answer all else.
func (m *Manager) Answer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, asked := strings.CutPrefix(r.URL.Path, ChallengePath)
		if !asked || m.opts.Challenge != ChallengeHTTP {
			next.ServeHTTP(w, r)
			return
		}
		if !tokenForm.MatchString(token) {
			http.NotFound(w, r)
			return
		}
		value, err := m.answer(r.Context(), "token/"+token)
		switch {
		case err != nil:
			http.Error(w, "not available at the moment", http.StatusServiceUnavailable)
		case value == nil:
			http.NotFound(w, r)
		default:
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write(value) //nolint:gosec // a token in base64
		}
	})
}
