package signon

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/tracing"
)

const (
	maxAnswer  = 1 << 20 // bytes of what a provider answers
	askTimeout = 10 * time.Second
	askAgain   = 5 * time.Minute // what a provider says of itself
	askSoon    = 10 * time.Second
	askAtMost  = 2 * time.Second // how often people's sign-ins can have it asked
	maxAtOnce  = 16              // requests to one provider
)

// signatures are the ways of signing that are taken: by a private key alone. "none"
// and what is signed with a shared secret is not among them.
var signatures = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// Provider is one provider that people sign in by.
type Provider struct {
	settings Settings
	callback string // where it sends browsers back to
	leave    string // where it sends browsers that signed out
	client   *http.Client
	now      func() time.Time
	log      *slog.Logger
	turns    chan struct{}

	mu      sync.Mutex
	found   *found
	problem string // why it was not found when it was asked last
	asked   time.Time
}

// found is what a provider says of itself.
type found struct {
	provider   *oidc.Provider
	verifier   *oidc.IDTokenVerifier
	oauth      oauth2.Config
	endSession string // "" where it has none
}

func newProvider(s Settings, o Options) (*Provider, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	client, err := outbound.NewClient(outbound.ClientOptions{CA: s.CA, Timeout: askTimeout, MaxAnswer: maxAnswer})
	if err != nil {
		return nil, fmt.Errorf("the provider %s: %w", s.Name, err)
	}
	client.Transport = tracing.Transport(client.Transport)
	base := strings.TrimSuffix(o.PublicURL, "/")
	return &Provider{
		settings: s, callback: base + "/login/" + s.Name + "/callback", leave: base + "/login",
		client: client, now: o.Now, log: o.Log, turns: make(chan struct{}, maxAtOnce),
	}, nil
}

// Name returns what the provider is called in addresses and settings.
func (p *Provider) Name() string { return p.settings.Name }

// Label returns what people call the provider.
func (p *Provider) Label() string { return p.settings.Label }

// Issuer returns whom the provider's identities are of.
func (p *Provider) Issuer() string { return p.settings.Issuer }

// SignUp reports whether a first sign-in makes an account.
func (p *Provider) SignUp() bool { return p.settings.SignUp }

// Refresh returns how often the provider is asked whether somebody still may.
func (p *Provider) Refresh() time.Duration { return p.settings.Refresh }

// Grace returns how long what the provider cannot be asked about goes on.
func (p *Provider) Grace() time.Duration { return p.settings.Grace }

// Describe returns the provider for people.
func (p *Provider) Describe() constellation.Provider {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := constellation.Provider{Name: p.settings.Name, Label: p.settings.Label}
	if p.problem != "" {
		d.Problem = p.away()
	}
	return d
}

func (p *Provider) away() string {
	return p.settings.Label + " cannot be used at the moment, and the mothership's log says why; try again later, or sign in with a password if you have one here"
}

func (p *Provider) unavailable(err error) error {
	return constellation.Wrap(err, constellation.KindUnavailable, "%s", p.away())
}

// context lets the libraries ask by the provider's client.
func (p *Provider) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.client)
}

// turn waits for one of a bounded number of requests at a time.
func (p *Provider) turn(ctx context.Context) (release func(), err error) {
	select {
	case p.turns <- struct{}{}:
		return func() { <-p.turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sure returns what the provider says of itself while it answers: a browser that is
// sent to one that is away has no way back.
func (p *Provider) sure(ctx context.Context) (*found, error) {
	p.mu.Lock()
	f, problem := p.found, p.problem
	again := p.now().Sub(p.asked) >= askAtMost
	if again {
		p.asked = p.now() // one asks for those who come meanwhile
	}
	p.mu.Unlock()
	switch {
	case again:
		return p.ask(ctx)
	case problem != "":
		return nil, p.unavailable(nil)
	case f == nil:
		return p.ask(ctx)
	}
	return f, nil
}

// due reports whether the provider is to be asked what it is: it did not answer, or
// that was a while ago.
func (p *Provider) due() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.problem != "" || p.now().Sub(p.asked) >= askAgain
}

// current returns what the provider says of itself, and asks it when nothing is
// known yet.
func (p *Provider) current(ctx context.Context) (*found, error) {
	p.mu.Lock()
	f, wait := p.found, p.problem != "" && p.now().Sub(p.asked) < askAtMost
	p.mu.Unlock()
	if f != nil {
		return f, nil
	}
	if wait {
		return nil, p.unavailable(nil)
	}
	return p.ask(ctx)
}

// ask has the provider say what it is. What was known stays when it does not
// answer.
func (p *Provider) ask(ctx context.Context) (*found, error) {
	f, err := p.discover(ctx)
	if err != nil && ctx.Err() != nil { // who waited left
		return nil, p.unavailable(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = p.now()
	if err != nil {
		if problem := err.Error(); problem != p.problem {
			p.problem = problem
			p.log.ErrorContext(ctx, "nobody can sign in by a provider", "provider", p.settings.Name, "issuer", p.settings.Issuer, "error", err)
		}
		return nil, p.unavailable(err)
	}
	if p.problem != "" || p.found == nil {
		p.log.InfoContext(ctx, "people can sign in by a provider", "provider", p.settings.Name, "issuer", p.settings.Issuer)
	}
	p.found, p.problem = f, ""
	return f, nil
}

func (p *Provider) discover(ctx context.Context) (*found, error) {
	provider, err := oidc.NewProvider(p.context(ctx), p.settings.Issuer)
	if err != nil {
		return nil, fmt.Errorf("ask the provider what it is: %w", err)
	}
	var more struct {
		JWKS       string   `json:"jwks_uri"`
		EndSession string   `json:"end_session_endpoint"`
		Scopes     []string `json:"scopes_supported"`
		Methods    []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := provider.Claims(&more); err != nil {
		return nil, fmt.Errorf("read what the provider says of itself: %w", err)
	}
	endpoint := provider.Endpoint()
	for _, address := range []string{endpoint.AuthURL, endpoint.TokenURL, more.JWKS} {
		if err := checkURL(address); err != nil {
			return nil, fmt.Errorf("an address that the provider names: %w", err)
		}
	}
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // what counts where the provider names nothing
	if slices.Contains(more.Methods, "client_secret_post") || p.settings.ClientSecret == "" {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	if checkURL(more.EndSession) != nil {
		more.EndSession = ""
	}
	return &found{
		provider: provider, endSession: more.EndSession,
		// Signatures are the library's part; what a token claims is judged here,
		// in words.
		verifier: provider.Verifier(&oidc.Config{SupportedSigningAlgs: signatures, SkipClientIDCheck: true, SkipIssuerCheck: true, SkipExpiryCheck: true}),
		oauth: oauth2.Config{
			ClientID: p.settings.ClientID, ClientSecret: p.settings.ClientSecret, Endpoint: endpoint, RedirectURL: p.callback,
			Scopes: p.scopes(more.Scopes),
		},
	}, nil
}

// scopes returns what is asked for: that which is set, or what there usually is.
func (p *Provider) scopes(supported []string) []string {
	if len(p.settings.Scopes) > 0 {
		return p.settings.Scopes
	}
	scopes := []string{oidc.ScopeOpenID, "profile", "email"}
	for _, scope := range []string{"groups", oidc.ScopeOfflineAccess} {
		if slices.Contains(supported, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// SignOutURL returns where a browser signs out at the provider too, "" where it has
// no such address.
func (p *Provider) SignOutURL(idToken string) string {
	p.mu.Lock()
	f := p.found
	p.mu.Unlock()
	if f == nil || f.endSession == "" {
		return ""
	}
	u, err := url.Parse(f.endSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.settings.ClientID)
	q.Set("post_logout_redirect_uri", p.leave)
	if idToken != "" {
		q.Set("id_token_hint", idToken)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
