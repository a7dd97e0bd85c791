package autotls

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/acme"
)

// How long a failure is waited after, doubled with each, and for how long a
// failure is remembered.
const (
	firstWait   = 5 * time.Minute
	longestWait = 12 * time.Hour
	failureLife = 30 * 24 * time.Hour
	accountLife = 100 * 365 * 24 * time.Hour
)

// due returns when a certificate is to be made again: a third of its life before
// its end.
func due(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3)
}

// Due reports whether a certificate is to be obtained, of which none is there or
// which is near its end.
func (m *Manager) Due() bool {
	c := m.current.Load()
	return c == nil || !m.opts.Now().Before(due(c.Leaf))
}

// failure is how often it did not work, and when it is tried again.
type failure struct {
	Times int       `json:"times"`
	Again time.Time `json:"again"`
	Why   string    `json:"why"`
}

// Obtain gets a certificate if one is due, no other server is about it and no failure
// is to be waited after. Its errors are a sentence for the operator.
func (m *Manager) Obtain(ctx context.Context) error {
	store, err := m.kept()
	if err != nil {
		return err
	}
	return store.Alone(ctx, func() error { return m.obtain(ctx, store) })
}

func (m *Manager) obtain(ctx context.Context, store Store) error {
	if err := m.Load(ctx); err != nil {
		return err
	}
	if !m.Due() {
		return nil
	}
	var last failure
	value, err := store.Value(ctx, "failure/"+m.name)
	if err != nil {
		return err
	}
	if value != nil {
		_ = json.Unmarshal(value, &last) // what cannot be read is none
	}
	if m.opts.Now().Before(last.Again) {
		return nil
	}
	pair, err := m.order(ctx, store)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return m.failed(ctx, store, last, err)
	}
	value, err = writePair(pair)
	if err == nil {
		err = store.Obtained(ctx, "certificate/"+m.name, value, pair)
	}
	if err != nil {
		return fmt.Errorf("keep the new certificate: %w", err)
	}
	m.use(value, pair)
	if last.Times > 0 {
		return store.Put(ctx, "failure/"+m.name, []byte("{}"), m.opts.Now().Add(time.Hour))
	}
	return nil
}

// failed notes a failure, so that no server tries again too soon.
func (m *Manager) failed(ctx context.Context, store Store, last failure, cause error) error {
	wait := min(firstWait<<min(last.Times, 20), longestWait)
	if told, limited := rateLimited(cause); limited {
		wait = max(wait, min(told, 7*24*time.Hour))
	}
	err := m.explain(cause)
	now := m.opts.Now()
	f := failure{Times: last.Times + 1, Again: now.Add(wait), Why: err.Error()}
	value, _ := json.Marshal(f) // of a number, a time and a text
	m.opts.Log.ErrorContext(ctx, "no certificate was obtained", "error", err, "again_at", f.Again.UTC().Truncate(time.Second))
	return errors.Join(err, store.Put(ctx, "failure/"+m.name, value, now.Add(failureLife)))
}

// order asks the authority for a certificate.
func (m *Manager) order(ctx context.Context, store Store) (*tls.Certificate, error) {
	key, err := m.account(ctx, store)
	if err != nil {
		return nil, err
	}
	client := &acme.Client{Key: key, HTTPClient: m.http, DirectoryURL: m.opts.Directory, UserAgent: "constellation", RetryBackoff: backoff}
	account := &acme.Account{}
	if m.opts.Email != "" {
		account.Contact = []string{"mailto:" + m.opts.Email}
	}
	// That the terms are accepted is a setting, without which there is no Manager.
	if _, err := client.Register(ctx, account, acme.AcceptTOS); err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return nil, err
	}
	order, err := client.AuthorizeOrder(ctx, acme.DomainIDs(m.opts.Hosts...))
	if err != nil {
		return nil, err
	}
	defer m.forget()
	for _, url := range order.AuthzURLs {
		if err := m.authorize(ctx, client, url); err != nil {
			return nil, err
		}
	}
	ready, err := client.WaitOrder(ctx, order.URI)
	if err != nil {
		return nil, err
	}
	ready.URI = order.URI // which the answer does not repeat
	return m.finalize(ctx, client, ready)
}

// backoff is when a request to the authority is repeated: a few times, soon. What
// takes longer is another attempt.
func backoff(n int, _ *http.Request, response *http.Response) time.Duration {
	if n > 3 || response != nil && response.StatusCode == http.StatusTooManyRequests {
		return 0
	}
	return time.Duration(n) * time.Second
}

// account returns the key of the account at the authority, made on first use.
func (m *Manager) account(ctx context.Context, store Store) (crypto.Signer, error) {
	name := "account/" + m.opts.Directory
	value, err := store.Value(ctx, name)
	if err != nil {
		return nil, err
	}
	if value != nil {
		return readKey(value)
	}
	key, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	if value, err = writeKey(key); err != nil {
		return nil, err
	}
	return key, store.Put(ctx, name, value, m.opts.Now().Add(accountLife))
}

// authorize has the authority see that a host is ours.
func (m *Manager) authorize(ctx context.Context, client *acme.Client, url string) error {
	a, err := client.GetAuthorization(ctx, url)
	if err != nil || a.Status == acme.StatusValid {
		return err
	}
	at := slices.IndexFunc(a.Challenges, func(c *acme.Challenge) bool { return c.Type == m.opts.Challenge })
	if at < 0 {
		return fmt.Errorf("the authority does not offer the challenge %s for %s", m.opts.Challenge, a.Identifier.Value)
	}
	if err := m.set(ctx, client, a.Identifier.Value, a.Challenges[at]); err != nil {
		return err
	}
	if _, err := client.Accept(ctx, a.Challenges[at]); err != nil {
		return err
	}
	_, err = client.WaitAuthorization(ctx, a.URI)
	return err
}

// finalize has the certificate made for a new key, and takes one that is good alone.
func (m *Manager) finalize(ctx context.Context, client *acme.Client, order *acme.Order) (*tls.Certificate, error) {
	key, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: m.opts.Hosts}, key)
	if err != nil {
		return nil, fmt.Errorf("ask for a certificate: %w", err)
	}
	chain, _, err := client.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return nil, err
	}
	value, err := writePair(&tls.Certificate{Certificate: chain, PrivateKey: key})
	if err != nil {
		return nil, err
	}
	pair, err := readPair(value)
	if err != nil {
		return nil, fmt.Errorf("the authority gave no certificate for the key that it was asked for: %w", err)
	}
	for _, host := range m.opts.Hosts {
		if err := pair.Leaf.VerifyHostname(host); err != nil {
			return nil, fmt.Errorf("the authority gave a certificate that is not for %s", host)
		}
	}
	if m.Due() && !m.opts.Now().Before(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the authority gave a certificate that ended on %s, and here it is %s: one of the two clocks is wrong",
			pair.Leaf.NotAfter.UTC().Format(time.RFC3339), m.opts.Now().UTC().Format(time.RFC3339))
	}
	return pair, nil
}
