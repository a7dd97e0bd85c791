package constellation

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// TokenRule says which workloads' tokens are exchanged for an API key of an hour, and
// of which account.
type TokenRule struct {
	ID         string // UUID
	Name       string
	Issuer     string
	Audience   string
	JWKSURL    string // where the issuer's keys are; "" is where it says itself
	CA         string // certificates in PEM that are trusted besides the system's
	Conditions []ClaimCondition
	Username   string // the service account whose keys it gives
	Role       Role
	Scope      KeyScope // "" is all that the role may
	CreatedAt  time.Time
	CreatedBy  string
}

// ClaimCondition is what a token must claim: a text in which each '*' stands for
// anything.
type ClaimCondition struct {
	Claim string `json:"claim"`
	Value string `json:"value"`
}

// Bounds of a rule.
const (
	MaxConditions = 20
	maxRuleText   = 500
	maxRuleCA     = 64 << 10
)

// CheckTokenRule adds to v what is wrong with a rule.
func CheckTokenRule(v *Validation, r *TokenRule) {
	CheckDisplayName(v, "name", "a token rule", r.Name)
	checkKeySource(v, "issuer", r.Issuer)
	if r.JWKSURL != "" {
		checkKeySource(v, "jwks_url", r.JWKSURL)
	}
	if r.Audience == "" || len(r.Audience) > maxRuleText {
		v.Add("audience", "an audience has 1 to %d bytes: what the token is made for, such as this mothership's address", maxRuleText)
	}
	if len(r.CA) > maxRuleCA {
		v.Add("ca", "the certificates have at most %d bytes", maxRuleCA)
	}
	CheckRole(v, "role", r.Role)
	if len(r.Conditions) > MaxConditions {
		v.Add("conditions", "a rule has at most %d conditions", MaxConditions)
	}
	tells := false
	for i, c := range r.Conditions {
		field := "conditions[" + strconv.Itoa(i) + "]"
		if c.Claim == "" || len(c.Claim) > maxRuleText {
			v.Add(field+".claim", "a claim's name has 1 to %d bytes", maxRuleText)
		}
		if c.Value == "" || len(c.Value) > maxRuleText {
			v.Add(field+".value", "a claim's value has 1 to %d bytes; each '*' in it stands for anything", maxRuleText)
		}
		tells = tells || strings.Trim(c.Value, "*") != ""
	}
	if !tells {
		v.Add("conditions", "a rule needs a condition that tells one workload from another, such as repository_owner: an issuer signs tokens for everybody who uses it")
	}
}

// checkKeySource adds an error to v when text is no https address: whoever answers
// there decides whose tokens count.
func checkKeySource(v *Validation, field, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(text) > maxRuleText || u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "127.0.0.1") {
		v.Add(field, "it is an https address of at most %d bytes", maxRuleText)
	}
}

// Matches reports whether a token claims what the condition wants: of a list, one of
// its entries.
func (c ClaimCondition) Matches(claims map[string]any) bool {
	switch claim := FindClaim(claims, c.Claim).(type) {
	case string:
		return glob(c.Value, claim)
	case bool:
		return c.Value == strconv.FormatBool(claim)
	case float64:
		return c.Value == strconv.FormatFloat(claim, 'f', -1, 64)
	case []any:
		for _, entry := range claim {
			if text, ok := entry.(string); ok && glob(c.Value, text) {
				return true
			}
		}
	}
	return false
}

// glob reports whether text is pattern, in which each '*' stands for anything.
func glob(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return strings.HasSuffix(text, last)
}
