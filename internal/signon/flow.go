package signon

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// FlowLifetime is how long somebody has for signing in at a provider.
const FlowLifetime = 10 * time.Minute

// leeway is by how much the clocks of a provider and of the mothership may differ.
const leeway = 2 * time.Minute

// Flow is a sign-in under way. Who asked for it keeps it where nobody else reads it,
// and only with it what comes back counts.
type Flow struct {
	Provider string    `json:"p"`
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // of PKCE
	Next     string    `json:"x"` // where the visitor wanted to go
	Expires  time.Time `json:"e"`
}

// Callback is what a browser comes back from a provider with.
type Callback struct {
	State, Code, Issuer string
	Error, Description  string
}

// Identity is somebody whom a provider vouches for.
type Identity struct {
	Issuer, Subject string
	// Username is "" at a refresh where the provider does not say it again.
	Username     string
	Role         constellation.Role
	RefreshToken string // "" where the provider gives none
	IDToken      string
}

// Begin starts a sign-in: the address is where the browser goes.
func (p *Provider) Begin(ctx context.Context, next string) (address string, f Flow, err error) {
	found, err := p.sure(ctx)
	if err != nil {
		return "", Flow{}, err
	}
	f = Flow{
		Provider: p.settings.Name, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Next: next,
		Expires: p.now().Add(FlowLifetime),
	}
	return found.oauth.AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), f, nil
}

// Check returns why a callback is not that of the flow.
func (p *Provider) Check(f Flow, c Callback) error {
	switch {
	case f.Provider != p.settings.Name || subtle.ConstantTimeCompare([]byte(f.State), []byte(c.State)) != 1:
		return constellation.Errorf(constellation.KindForbidden, "this answer of %s is not for a sign-in that this browser began; sign in again", p.settings.Label)
	case !p.now().Before(f.Expires):
		return constellation.Errorf(constellation.KindForbidden, "signing in by %s took longer than %d minutes; sign in again", p.settings.Label, int(FlowLifetime.Minutes()))
	case c.Issuer != "" && c.Issuer != p.settings.Issuer:
		return constellation.Errorf(constellation.KindForbidden, "this answer is of the issuer %q and not of %s; sign in again", clean(c.Issuer), p.settings.Label)
	case c.Error != "":
		said := clean(c.Error)
		if c.Description != "" {
			said += ": " + clean(c.Description)
		}
		return constellation.Errorf(constellation.KindForbidden, "%s did not sign you in (%s)", p.settings.Label, said)
	case c.Code == "":
		return constellation.Errorf(constellation.KindMalformed, "this answer of %s is incomplete; sign in again", p.settings.Label)
	}
	return nil
}

// Complete returns whom a provider vouches for, of a callback that passed Check.
func (p *Provider) Complete(ctx context.Context, f Flow, c Callback) (*Identity, error) {
	found, err := p.current(ctx)
	if err != nil {
		return nil, err
	}
	release, err := p.turn(ctx)
	if err != nil {
		return nil, p.unavailable(err)
	}
	defer release()
	token, err := found.oauth.Exchange(p.context(ctx), c.Code, oauth2.VerifierOption(f.Verifier))
	if refused(err) {
		return nil, constellation.Wrap(err, constellation.KindForbidden, "%s does not take this sign-in: it was used before, or has expired; sign in again", p.settings.Label)
	}
	if err != nil {
		p.log.ErrorContext(ctx, "a provider gives no token for a sign-in", "provider", p.settings.Name, "error", err)
		return nil, p.unavailable(err)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, p.distrust("names nobody: its answer has no ID token")
	}
	claims, err := p.verify(ctx, found, raw, f.Nonce)
	if err != nil {
		return nil, err
	}
	who, err := p.identify(ctx, found, claims, token)
	if err != nil {
		return nil, err
	}
	if who.Username, err = p.username(claims); err != nil {
		return nil, err
	}
	who.IDToken = raw
	return who, nil
}

// Ask returns whom the provider vouches for now, by the refresh token of a sign-in.
// KindForbidden is that it does not any more.
func (p *Provider) Ask(ctx context.Context, refreshToken, subject string) (*Identity, error) {
	found, err := p.current(ctx)
	if err != nil {
		return nil, err
	}
	release, err := p.turn(ctx)
	if err != nil {
		return nil, p.unavailable(err)
	}
	defer release()
	token, err := found.oauth.TokenSource(p.context(ctx), &oauth2.Token{RefreshToken: refreshToken}).Token()
	if refused(err) {
		return nil, constellation.Wrap(err, constellation.KindForbidden, "%s has ended this sign-in", p.settings.Label)
	}
	if err != nil {
		_, _ = p.sure(ctx) // whether it is away, for who signs in next
		return nil, p.unavailable(err)
	}
	claims := map[string]any{"sub": subject}
	raw, _ := token.Extra("id_token").(string)
	if raw != "" {
		if claims, err = p.verify(ctx, found, raw, ""); err != nil {
			return nil, err
		}
	}
	who, err := p.identify(ctx, found, claims, token)
	if err != nil {
		return nil, err
	}
	if who.Subject != subject {
		return nil, constellation.Errorf(constellation.KindForbidden, "%s answers for somebody else", p.settings.Label)
	}
	who.IDToken = raw
	return who, nil
}

// refused reports whether a provider says that a grant does not count, and not that
// it, or how it is set up, has a fault.
func refused(err error) bool {
	e, ok := errors.AsType[*oauth2.RetrieveError](err)
	return ok && (e.ErrorCode == "invalid_grant" || e.ErrorCode == "access_denied" || strings.HasSuffix(e.ErrorCode, "_required"))
}

// distrust returns why a provider's answer is no reason to let somebody in.
func (p *Provider) distrust(why string, args ...any) error {
	return constellation.Errorf(constellation.KindForbidden, p.settings.Label+" "+why+"; nobody was signed in", args...)
}

// verify returns what an ID token claims; nonce is "" at a refresh.
func (p *Provider) verify(ctx context.Context, found *found, raw, nonce string) (map[string]any, error) {
	if alg := algorithm(raw); !slices.Contains(signatures, alg) {
		return nil, p.distrust("sent an ID token that is signed by %q, and only signatures by a private key count", clean(alg))
	}
	token, err := found.verifier.Verify(p.context(ctx), raw)
	if err != nil {
		p.log.ErrorContext(ctx, "an ID token of a provider does not count", "provider", p.settings.Name, "error", err)
		if strings.Contains(err.Error(), "fetching keys") {
			return nil, p.unavailable(err)
		}
		return nil, p.distrust("sent an ID token whose signature is not by one of its keys")
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return nil, p.distrust("sent an ID token that cannot be read")
	}
	now := p.now()
	switch {
	case token.Issuer != p.settings.Issuer:
		return nil, p.distrust("sent an ID token of the issuer %q, and %q is set", clean(token.Issuer), p.settings.Issuer)
	case !slices.Contains(token.Audience, p.settings.ClientID):
		return nil, p.distrust("sent an ID token for the audience %q, and not for this mothership", clean(strings.Join(token.Audience, " ")))
	case len(token.Audience) > 1 && claims["azp"] != nil && claims["azp"] != p.settings.ClientID:
		return nil, p.distrust("sent an ID token that was made for another program")
	case nonce != "" && subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1:
		return nil, p.distrust("sent an ID token of another sign-in (its nonce is not ours)")
	case now.After(token.Expiry.Add(leeway)):
		return nil, p.distrust("sent an ID token that expired on %s, and here it is %s: one of the two clocks is wrong", token.Expiry.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case token.IssuedAt.After(now.Add(leeway)) || notBefore(claims).After(now.Add(leeway)):
		return nil, p.distrust("sent an ID token of the future (%s), and here it is %s: one of the two clocks is wrong", token.IssuedAt.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case token.Subject == "" || len(token.Subject) > maxText:
		return nil, p.distrust("sent an ID token that names no subject, or one of more than %d bytes", maxText)
	}
	return claims, nil
}

// algorithm returns how a token says that it is signed.
func algorithm(raw string) string {
	head, _, _ := strings.Cut(raw, ".")
	data, err := base64.RawURLEncoding.DecodeString(head)
	var header struct {
		Alg string `json:"alg"`
	}
	if err != nil || json.Unmarshal(data, &header) != nil {
		return ""
	}
	return header.Alg
}

func notBefore(claims map[string]any) time.Time {
	if seconds, ok := claims["nbf"].(float64); ok {
		return time.Unix(int64(seconds), 0)
	}
	return time.Time{}
}
