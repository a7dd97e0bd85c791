package signon

import (
	"context"
	"strings"

	"golang.org/x/oauth2"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Bounds of what a provider says of somebody.
const (
	maxText   = 512
	maxGroups = 20_000
)

// identify returns whom claims are about, and the role that their groups give. What
// the ID token lacks is asked for (userinfo), and put into claims.
func (p *Provider) identify(ctx context.Context, found *found, claims map[string]any, token *oauth2.Token) (*Identity, error) {
	subject, _ := claims["sub"].(string)
	if p.lacks(claims) && found.provider.UserInfoEndpoint() != "" {
		if err := p.complete(ctx, found, subject, claims, token); err != nil {
			return nil, err
		}
	}
	role, err := p.role(claims)
	if err != nil {
		return nil, err
	}
	return &Identity{Issuer: p.settings.Issuer, Subject: subject, Role: role, RefreshToken: token.RefreshToken}, nil
}

func (p *Provider) lacks(claims map[string]any) bool {
	return constellation.FindClaim(claims, p.settings.UsernameClaim) == nil ||
		constellation.FindClaim(claims, p.settings.GroupsClaim) == nil && !overage(claims)
}

// complete adds to claims what the provider says of somebody beside the ID token.
func (p *Provider) complete(ctx context.Context, found *found, subject string, claims map[string]any, token *oauth2.Token) error {
	if checkURL(found.provider.UserInfoEndpoint()) != nil {
		return nil
	}
	info, err := found.provider.UserInfo(p.context(ctx), oauth2.StaticTokenSource(token))
	if err != nil {
		p.log.ErrorContext(ctx, "a provider does not say who somebody is (userinfo)", "provider", p.settings.Name, "error", err)
		return p.unavailable(err)
	}
	if info.Subject != subject {
		return p.distrust("answers for somebody else where it says who somebody is (userinfo)")
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return p.distrust("answers what cannot be read where it says who somebody is (userinfo)")
	}
	for name, claim := range more {
		if _, ok := claims[name]; !ok {
			claims[name] = claim
		}
	}
	return nil
}

// overage reports whether a provider left the groups out because there are too many
// of them for a token, as Entra does.
func overage(claims map[string]any) bool {
	elsewhere, _ := claims["_claim_names"].(map[string]any)
	return elsewhere["groups"] != nil || claims["hasgroups"] == true
}

// role returns the highest role that somebody's groups give.
func (p *Provider) role(claims map[string]any) (constellation.Role, error) {
	groups, known := readGroups(constellation.FindClaim(claims, p.settings.GroupsClaim))
	var best constellation.Role
	for _, rule := range p.settings.Roles {
		if (rule.Group == "*" || groups[rule.Group]) && rule.Role.Rank() > best.Rank() {
			best = rule.Role
		}
	}
	label, claim := p.settings.Label, p.settings.GroupsClaim
	switch {
	case !known && overage(claims):
		return "", constellation.Errorf(constellation.KindForbidden,
			"you are in more groups than %s puts into a token, so that it named none; an administrator can have it send only groups that are assigned to this application, or its roles instead", label)
	case best != "":
		return best, nil
	case !known:
		return "", constellation.Errorf(constellation.KindForbidden,
			"%s did not say which groups you are in (the claim %q is missing), so that you have no role here; ask an administrator", label, claim)
	}
	return "", constellation.Errorf(constellation.KindForbidden,
		"%s knows you, and none of your groups has a role here; ask an administrator to put you into one that has", label)
}

// readGroups reads a list of groups, or one group.
func readGroups(claim any) (groups map[string]bool, known bool) {
	groups = map[string]bool{}
	switch claim := claim.(type) {
	case string:
		groups[claim] = true
	case []any:
		for _, entry := range claim[:min(len(claim), maxGroups)] {
			if group, ok := entry.(string); ok {
				groups[group] = true
			}
		}
	default:
		return groups, false
	}
	return groups, true
}

// username returns what somebody is called here: of an address, what is before its
// sign.
func (p *Provider) username(claims map[string]any) (string, error) {
	claim := p.settings.UsernameClaim
	text, _ := constellation.FindClaim(claims, claim).(string)
	if text == "" {
		return "", constellation.Errorf(constellation.KindForbidden, "%s did not say your name (the claim %q is missing); ask an administrator", p.settings.Label, claim)
	}
	if verified, ok := claims["email_verified"].(bool); ok && !verified && claim == "email" {
		return "", constellation.Errorf(constellation.KindForbidden, "%s has not verified your address, by which you would be known here; verify it there first", p.settings.Label)
	}
	name, _, _ := strings.Cut(text, "@")
	var v constellation.Validation
	if constellation.CheckUsername(&v, "username", name); v.Err() != nil {
		return "", constellation.Errorf(constellation.KindForbidden,
			"%s calls you %q (the claim %q), which is no username here: it has 1 to 63 letters, digits, '_', '.' or '-'; ask an administrator for another claim", p.settings.Label, clean(text), claim)
	}
	return name, nil
}

// clean makes what somebody else wrote fit for a sentence.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}
