package signon

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Settings are what is set up of one provider.
type Settings struct {
	Name         string // in addresses: /login/NAME
	Label        string // on the button; "" is the name
	Issuer       string
	ClientID     string
	ClientSecret string   // "" of a public client
	Scopes       []string // none: openid, profile and email, and groups and offline_access where the provider has them

	UsernameClaim string // "" is preferred_username
	GroupsClaim   string // "" is groups
	Roles         []RoleRule

	SignUp  bool          // whether a first sign-in makes an account
	Refresh time.Duration // how often the provider is asked whether somebody still may; 0 is 15 min
	// Grace is how long sessions and API keys go on that the provider cannot be
	// asked about; 0 is a day.
	Grace time.Duration
	CA    string // certificates in PEM that are trusted besides the system's
}

// RoleRule gives a role to who is in a group; "*" is everybody whom the provider
// knows.
type RoleRule struct {
	Role  constellation.Role
	Group string
}

// ParseRole reads ROLE=GROUP.
func ParseRole(text string) (RoleRule, error) {
	role, group, ok := strings.Cut(text, "=")
	if !ok || !constellation.Role(role).Valid() || strings.TrimSpace(group) == "" {
		return RoleRule{}, fmt.Errorf("a role is given as ROLE=GROUP, with admin, operator or viewer before the sign; not %q", text)
	}
	return RoleRule{constellation.Role(role), strings.TrimSpace(group)}, nil
}

const (
	defaultRefresh = 15 * time.Minute
	defaultGrace   = 24 * time.Hour
)

// Check fills in what may be left out, and returns what cannot work.
func (s *Settings) Check() error {
	if s.Label == "" {
		s.Label = s.Name
	}
	if s.UsernameClaim == "" {
		s.UsernameClaim = "preferred_username"
	}
	if s.GroupsClaim == "" {
		s.GroupsClaim = "groups"
	}
	if s.Refresh == 0 {
		s.Refresh = defaultRefresh
	}
	if s.Grace == 0 {
		s.Grace = defaultGrace
	}
	switch {
	case !constellation.ValidProvider(s.Name):
		return fmt.Errorf("a provider's name has 1 to 32 lower-case letters, digits and '-'; not %q", s.Name)
	case len(s.Label) > 60:
		return fmt.Errorf("the label of the provider %s has more than 60 bytes", s.Name)
	case s.ClientID == "":
		return fmt.Errorf("the provider %s has no client ID: register this mothership there and give the one that it gets", s.Name)
	case len(s.Roles) == 0:
		return fmt.Errorf("the provider %s gives nobody a role: name at least one group, such as admin=platform-admins, or viewer=* for everybody", s.Name)
	case s.Refresh < time.Second || s.Refresh > 24*time.Hour:
		return fmt.Errorf("the provider %s is asked every 1s to 24h; not %s", s.Name, s.Refresh)
	case s.Grace < s.Refresh || s.Grace > 30*24*time.Hour:
		return fmt.Errorf("the grace of the provider %s is between the time in which it is asked again (%s) and 720h; not %s", s.Name, s.Refresh, s.Grace)
	case len(s.Scopes) > 0 && !slices.Contains(s.Scopes, "openid"):
		return fmt.Errorf("the scopes of the provider %s lack openid", s.Name)
	}
	if err := checkURL(s.Issuer); err != nil {
		return fmt.Errorf("the issuer of the provider %s: %w", s.Name, err)
	}
	return nil
}

// checkURL returns why an address of a provider is not asked: what is sent there is
// secret, and what it answers decides who comes in.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return fmt.Errorf("%q is no address of a server", text)
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%q is not https", text)
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
