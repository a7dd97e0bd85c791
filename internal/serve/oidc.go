package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/signon"
)

// oidcProvider is one provider that people sign in by, as it is set up: by the flags
// that begin with oidc-, or in the config file's list, whose keys are the rest of
// their names.
type oidcProvider struct {
	Name             string   `json:"name"`
	Label            string   `json:"label"`
	Issuer           string   `json:"issuer"`
	ClientID         string   `json:"client-id"`
	ClientSecretFile string   `json:"client-secret-file"`
	Scopes           []string `json:"scopes"`
	UsernameClaim    string   `json:"username-claim"`
	GroupsClaim      string   `json:"groups-claim"`
	Role             []string `json:"role"`
	SignUp           *bool    `json:"sign-up"` // nil is true
	Refresh          duration `json:"refresh"`
	Grace            duration `json:"grace"`
	CAFile           string   `json:"ca-file"`
}

// duration is a time.Duration as flags write it.
type duration time.Duration

// UnmarshalJSON is part of json.Unmarshaler.
func (d *duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a duration is written as 15m or 24h; not %s", data)
	}
	parsed, err := time.ParseDuration(text)
	*d = duration(parsed)
	return err
}

// providersKey is where the config file lists providers.
const providersKey = "oidc-providers"

// maxSecretFile is how many bytes of a client secret or certificates are read.
const maxSecretFile = 1 << 20

func (c *Config) addOIDCFlags(flags *pflag.FlagSet) {
	p := &c.oidc
	p.SignUp = new(bool)
	setting(flags.StringVar, &p.Issuer, "oidc-issuer", "", "let people sign in by this OpenID Connect provider, https://…; several are in the config file's list "+providersKey)
	setting(flags.StringVar, &p.ClientID, "oidc-client-id", "", "what the provider calls this mothership")
	setting(flags.StringVar, &p.ClientSecretFile, "oidc-client-secret-file", "", "the file with the secret that the provider gave for the client ID; none for a public client")
	setting(flags.StringVar, &p.Name, "oidc-name", "sso", "the provider's name in addresses: it sends browsers back to PUBLIC_URL/login/NAME/callback")
	setting(flags.StringVar, &p.Label, "oidc-label", "", "what people call the provider, on its button; default the name")
	setting(flags.StringSliceVar, &p.Scopes, "oidc-scopes", nil, "ask the provider for these; default openid,profile,email and, where the provider lists them, groups and offline_access")
	setting(flags.StringVar, &p.UsernameClaim, "oidc-username-claim", "preferred_username", "the claim with the username; of an address, what is before its @")
	setting(flags.StringVar, &p.GroupsClaim, "oidc-groups-claim", "groups", "the claim with the groups, or its path, such as realm_access.roles")
	setting(flags.StringSliceVar, &p.Role, "oidc-role", nil, "give a role to a group, as ROLE=GROUP, such as admin=platform-admins,viewer=*; the highest counts, * is everybody, and who has none is not let in")
	setting(flags.BoolVar, p.SignUp, "oidc-sign-up", true, "make an account at somebody's first sign-in; false lets in only whom an admin invited")
	setting(flags.DurationVar, (*time.Duration)(&p.Refresh), "oidc-refresh", 15*time.Minute, "ask the provider this often whether somebody still may come in, and as what")
	setting(flags.DurationVar, (*time.Duration)(&p.Grace), "oidc-grace", 24*time.Hour, "let people in, and their API keys, for this long while the provider cannot be asked")
	setting(flags.StringVar, &p.CAFile, "oidc-ca-file", "", "trust these certificates, a PEM file, besides the system's when the provider is asked")
}

// readProviders reads the list of providers in a config file.
func readProviders(value any) ([]oidcProvider, error) {
	raw, err := yaml.Marshal(value)
	if err != nil {
		return nil, err
	}
	var list []oidcProvider
	if err := yaml.UnmarshalStrict(raw, &list); err != nil {
		return nil, fmt.Errorf("it is a list of providers, each with name, issuer, client-id and role, and perhaps label, client-secret-file, scopes, username-claim, groups-claim, sign-up, refresh, grace and ca-file: %w", err)
	}
	return list, nil
}

// signOn makes the providers that people sign in by; none asks anything yet.
func (c *Config) signOn(publicURL string, log *slog.Logger) (*signon.Providers, error) {
	all := c.providers
	if c.oidc.Issuer != "" {
		all = append([]oidcProvider{c.oidc}, all...)
	} else if c.oidc.ClientID != "" || c.oidc.ClientSecretFile != "" || len(c.oidc.Role) > 0 {
		return nil, command.UsageError{Err: errors.New("--oidc-issuer is missing: the other settings of a provider count only with it")}
	}
	var settings []signon.Settings
	for _, p := range all {
		s, err := p.settings()
		if err != nil {
			return nil, command.UsageError{Err: fmt.Errorf("sign-in by a provider: %w", err)}
		}
		settings = append(settings, s)
	}
	providers, err := signon.New(settings, signon.Options{PublicURL: publicURL, Log: log})
	if err != nil {
		return nil, command.UsageError{Err: fmt.Errorf("sign-in by a provider: %w", err)}
	}
	return providers, nil
}

func (p oidcProvider) settings() (signon.Settings, error) {
	s := signon.Settings{
		Name: p.Name, Label: p.Label, Issuer: p.Issuer, ClientID: p.ClientID, Scopes: p.Scopes, UsernameClaim: p.UsernameClaim,
		GroupsClaim: p.GroupsClaim, SignUp: p.SignUp == nil || *p.SignUp, Refresh: time.Duration(p.Refresh), Grace: time.Duration(p.Grace),
	}
	for _, text := range p.Role {
		rule, err := signon.ParseRole(text)
		if err != nil {
			return s, err
		}
		s.Roles = append(s.Roles, rule)
	}
	var err error
	if s.ClientSecret, err = readSmall("client secret", p.ClientSecretFile); err != nil {
		return s, err
	}
	s.ClientSecret = strings.TrimSpace(s.ClientSecret)
	if p.ClientSecretFile != "" && s.ClientSecret == "" {
		return s, fmt.Errorf("the client secret's file %s is empty", p.ClientSecretFile)
	}
	s.CA, err = readSmall("certificates", p.CAFile)
	return s, err
}

// readSmall returns what a file has, "" for no file.
func readSmall(what, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxSecretFile {
		return "", fmt.Errorf("the %s' file %s has more than %d bytes", what, path, maxSecretFile)
	}
	data, err := os.ReadFile(path)
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	if err != nil {
		return "", fmt.Errorf("the file of the %s, %s, cannot be read: %w", what, path, err)
	}
	return string(data), nil
}

// askProviders keeps what is known of providers and of the people who sign in by them
// current, until ctx ends.
func (m *mothership) askProviders(ctx context.Context, providers *signon.Providers) {
	var both sync.WaitGroup
	both.Go(func() { providers.Run(ctx) })
	both.Go(func() { m.control.RunSignOn(ctx) })
	both.Wait()
}
