package control

import (
	"context"
	"fmt"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/signon"
)

// TokenTrial is what would become of a workload's token.
type TokenTrial struct {
	Issuer, Subject string
	Rules           []RuleTrial // of its issuer, in the order in which they are asked
	Gives           *constellation.TokenRule
}

// RuleTrial is whether a token fits a rule.
type RuleTrial struct {
	Rule    constellation.TokenRule
	Fits    bool
	Because []string // why it does not
}

// TryToken says which rule a workload's token fits, or why none. Nothing is given for
// it, and nothing is kept of it; admins only.
func (s *Service) TryToken(ctx context.Context, p Principal, token string) (*TokenTrial, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "trying a token"); err != nil {
		return nil, err
	}
	t := &TokenTrial{Issuer: clean(signon.Issuer(token), 500)}
	if t.Issuer == "" {
		var v constellation.Validation
		v.Add("token", "this is no token (JWT) that names its issuer: three parts with a point between them, as the workload gets it")
		return nil, v.Err()
	}
	rules, err := s.db.TokenRulesOf(ctx, t.Issuer)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		trial := RuleTrial{Rule: r}
		claims, err := s.memory.workloads.Verify(ctx, &r, token)
		if err != nil {
			trial.Because = []string{messageOf(err)}
		} else {
			subject, _ := claims["sub"].(string)
			t.Subject = clean(subject, 300)
			trial.Because = misfits(&r, claims)
		}
		trial.Fits = len(trial.Because) == 0
		t.Rules = append(t.Rules, trial)
		if trial.Fits && t.Gives == nil {
			t.Gives = &r
		}
	}
	return t, nil
}

// misfits says which conditions of a rule a token's claims do not meet.
func misfits(r *constellation.TokenRule, claims map[string]any) (why []string) {
	for _, c := range r.Conditions {
		if c.Matches(claims) {
			continue
		}
		is := constellation.FindClaim(claims, c.Claim)
		if is == nil {
			why = append(why, fmt.Sprintf("the token has no claim %s, and the rule wants %q", c.Claim, c.Value))
			continue
		}
		why = append(why, fmt.Sprintf("its claim %s is %s, and the rule wants %q", c.Claim, clean(fmt.Sprintf("%q", fmt.Sprint(is)), 300), c.Value))
	}
	return why
}
