package signon

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/tracing"
)

const (
	maxToken   = 16 << 10
	maxIssuers = 100
	keysGood   = 10 * time.Minute // then the issuer's keys are fetched anew
	// maxWrong is how many tokens with wrong signatures of one issuer a server looks
	// at in a minute: each may have its keys fetched.
	maxWrong = 60
)

// Workloads verifies the tokens of workloads by the keys of their issuers, which it
// keeps.
type Workloads struct {
	now func() time.Time
	log *slog.Logger

	mu      sync.Mutex
	sources map[source]*keys
}

// source is where an issuer's keys come from.
type source struct{ issuer, jwksURL, ca string }

type keys struct {
	set     oidc.KeySet
	fetched time.Time
	since   time.Time // the minute in which wrong tokens are counted
	wrong   int
}

// NewWorkloads returns a verifier that knows no keys yet.
func NewWorkloads(now func() time.Time, log *slog.Logger) *Workloads {
	return &Workloads{now: now, log: log, sources: map[source]*keys{}}
}

// Issuer returns whom a token says that it is of, before anything is verified; "" for
// what is no token.
func Issuer(token string) string {
	parts := strings.Split(token, ".")
	if len(token) > maxToken || len(parts) != 3 {
		return ""
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Issuer string `json:"iss"`
	}
	if err != nil || json.Unmarshal(data, &claims) != nil {
		return ""
	}
	return claims.Issuer
}

// Verify returns what a token claims, if its issuer signed it for the rule's
// audience, and it holds now.
func (w *Workloads) Verify(ctx context.Context, r *constellation.TokenRule, token string) (map[string]any, error) {
	refuse := func(text string, args ...any) error {
		return constellation.Errorf(constellation.KindUnauthenticated, text, args...)
	}
	if alg := algorithm(token); !slices.Contains(signatures, alg) {
		return nil, refuse("the token is signed by %q, and only signatures by a private key count", clean(alg))
	}
	k, err := w.keys(ctx, source{r.Issuer, r.JWKSURL, r.CA})
	if err != nil {
		return nil, err
	}
	if err := w.spare(k); err != nil {
		return nil, err
	}
	verified, err := oidc.NewVerifier(r.Issuer, k.set, &oidc.Config{SupportedSigningAlgs: signatures, SkipClientIDCheck: true, SkipIssuerCheck: true, SkipExpiryCheck: true}).Verify(ctx, token)
	if err != nil {
		w.count(k)
		w.log.WarnContext(ctx, "a workload's token does not count", "issuer", r.Issuer, "error", err)
		if strings.Contains(err.Error(), "fetching keys") {
			return nil, constellation.Wrap(err, constellation.KindUnavailable, "the keys of the issuer %s cannot be fetched at the moment; try again later", r.Issuer)
		}
		return nil, refuse("the token's signature is not by a key of its issuer %s", r.Issuer)
	}
	claims := map[string]any{}
	if err := verified.Claims(&claims); err != nil {
		return nil, refuse("what the token claims cannot be read")
	}
	now := w.now()
	switch {
	case verified.Issuer != r.Issuer:
		return nil, refuse("the token is of another issuer than %s", r.Issuer)
	case !slices.Contains(verified.Audience, r.Audience):
		return nil, refuse("the token is for the audience %q, and the rule %s wants %q", clean(strings.Join(verified.Audience, " ")), r.Name, r.Audience)
	case now.After(verified.Expiry.Add(leeway)):
		return nil, refuse("the token expired on %s, and here it is %s", verified.Expiry.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case verified.IssuedAt.After(now.Add(leeway)) || notBefore(claims).After(now.Add(leeway)):
		return nil, refuse("the token is of the future, and here it is %s: one of the two clocks is wrong", now.UTC().Format(time.RFC3339))
	}
	return claims, nil
}

// keys returns an issuer's keys, which are fetched when a token is verified.
func (w *Workloads) keys(ctx context.Context, s source) (*keys, error) {
	w.mu.Lock()
	k := w.sources[s]
	w.mu.Unlock()
	if k != nil && w.now().Sub(k.fetched) < keysGood {
		return k, nil
	}
	unavailable := func(err error) error {
		w.log.ErrorContext(ctx, "the keys of an issuer of tokens cannot be fetched", "issuer", s.issuer, "error", err)
		return constellation.Wrap(err, constellation.KindUnavailable, "the issuer %s cannot be asked for its keys at the moment, and the mothership's log says why; try again later", s.issuer)
	}
	client, err := outbound.NewClient(outbound.ClientOptions{CA: s.ca, Timeout: askTimeout, MaxAnswer: maxAnswer})
	if err != nil {
		return nil, unavailable(err)
	}
	client.Transport = tracing.Transport(client.Transport)
	with := oidc.ClientContext(context.WithoutCancel(ctx), client)
	address := s.jwksURL
	if address == "" {
		provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), s.issuer)
		var more struct {
			JWKS string `json:"jwks_uri"`
		}
		if err == nil {
			err = provider.Claims(&more)
		}
		if err == nil {
			err = checkURL(more.JWKS)
		}
		if err != nil {
			if k != nil { // an issuer that is away: what was known goes on
				return k, nil
			}
			return nil, unavailable(err)
		}
		address = more.JWKS
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sources) >= maxIssuers {
		clear(w.sources)
	}
	k = &keys{set: oidc.NewRemoteKeySet(with, address), fetched: w.now()}
	w.sources[s] = k
	return k, nil
}

// spare refuses to look at tokens of an issuer of which too many were wrong.
func (w *Workloads) spare(k *keys) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.now(); now.Sub(k.since) >= time.Minute {
		k.since, k.wrong = now, 0
	}
	if k.wrong >= maxWrong {
		return constellation.Errorf(constellation.KindRateLimited, "too many tokens of this issuer did not count; try again in 60 seconds")
	}
	return nil
}

func (w *Workloads) count(k *keys) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k.wrong++
}
