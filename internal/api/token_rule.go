package api

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

const exchangePath = "/v1/token-exchange"

// The words of RFC 8693.
const (
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	typeAccess    = "urn:ietf:params:oauth:token-type:access_token"
	typePrefix    = "urn:ietf:params:oauth:token-type:"
)

func (s *server) tokenRuleRoutes(router chi.Router) {
	add(s, tagServices, "GET /v1/token-rules", admin, "listTokenRules", "List the rules by which workloads' tokens are exchanged for keys", s.listTokenRules)
	add(s, tagServices, "POST /v1/token-rules", admin, "createTokenRule", "Make a rule by which workloads' tokens are exchanged for keys", s.createTokenRule)
	add(s, tagServices, "GET /v1/token-rules/{rule_id}", admin, "getTokenRule", "Show a token rule", s.getTokenRule)
	add(s, tagServices, "PUT /v1/token-rules/{rule_id}", admin, "putTokenRule", "Replace a token rule", s.putTokenRule)
	add(s, tagServices, "DELETE /v1/token-rules/{rule_id}", admin, "deleteTokenRule", "Remove a token rule", s.deleteTokenRule)
	s.exchangeRoute(router)
}

// TokenRulePath names a token rule.
type TokenRulePath struct {
	RuleID string `path:"rule_id" doc:"The rule's id, a UUID."`
}

type tokenRuleOutput struct{ Body apiv1.TokenRule }

func (s *server) listTokenRules(ctx context.Context, in *ListInput) (*listOutput[apiv1.TokenRule], error) {
	c := callOf(ctx)
	page, err := c.control.ListTokenRules(ctx, c.principal, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireTokenRule)
}

func (s *server) createTokenRule(ctx context.Context, in *struct{ Body apiv1.TokenRuleCreate }) (*tokenRuleOutput, error) {
	c := callOf(ctx)
	made, err := c.control.CreateTokenRule(ctx, c.principal, readTokenRule(&in.Body))
	if err != nil {
		return nil, err
	}
	return &tokenRuleOutput{wireTokenRule(made)}, nil
}

func readTokenRule(body *apiv1.TokenRuleCreate) constellation.TokenRule {
	r := constellation.TokenRule{
		Name: body.Name, Issuer: body.Issuer, Audience: body.Audience, JWKSURL: body.JWKSURL, CA: body.CA,
		Username: body.Account, Role: constellation.Role(body.Role), Scope: constellation.KeyScope(body.Scope),
	}
	for _, condition := range body.Conditions {
		r.Conditions = append(r.Conditions, constellation.ClaimCondition(condition))
	}
	return r
}

func (s *server) putTokenRule(ctx context.Context, in *struct {
	TokenRulePath
	DryRunInput
	Body apiv1.TokenRuleCreate
},
) (*tokenRuleOutput, error) {
	c := callOf(ctx)
	put, err := c.control.PutTokenRule(ctx, c.principal, in.RuleID, readTokenRule(&in.Body))
	if err != nil {
		return nil, err
	}
	return &tokenRuleOutput{wireTokenRule(put)}, nil
}

func (s *server) getTokenRule(ctx context.Context, in *TokenRulePath) (*tokenRuleOutput, error) {
	c := callOf(ctx)
	r, err := c.control.GetTokenRule(ctx, c.principal, in.RuleID)
	if err != nil {
		return nil, err
	}
	return &tokenRuleOutput{wireTokenRule(r)}, nil
}

func (s *server) deleteTokenRule(ctx context.Context, in *TokenRulePath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, c.control.DeleteTokenRule(ctx, c.principal, in.RuleID)
}

func wireTokenRule(r *constellation.TokenRule) apiv1.TokenRule {
	rule := apiv1.TokenRule{
		ID: r.ID, Name: r.Name, Issuer: r.Issuer, Audience: r.Audience, JWKSURL: orNull(r.JWKSURL), Conditions: []apiv1.ClaimCondition{},
		Account: r.Username, Role: string(r.Role), Scope: orNull(string(r.Scope)), CreatedAt: r.CreatedAt.UTC(), CreatedBy: r.CreatedBy,
	}
	for _, condition := range r.Conditions {
		rule.Conditions = append(rule.Conditions, apiv1.ClaimCondition(condition))
	}
	return rule
}

// exchangeRoute takes a token in place of a key, so that it is none of those that add
// makes.
func (s *server) exchangeRoute(router chi.Router) {
	router.Post(exchangePath, func(w http.ResponseWriter, r *http.Request) {
		if err := s.exchange(w, r); err != nil {
			if constellation.KindOf(err) == constellation.KindUnauthenticated {
				w.Header().Set("WWW-Authenticate", challenge)
			}
			httpserve.Refuse(w, r, func() { httpserve.WriteError(w, r, err) })
		}
	})
	op := operation(s, tagServices, "POST "+exchangePath, admin, "exchangeToken", "Exchange a workload's token for a key of an hour")
	op.Description = "Needs no key: the token says who asks (RFC 8693). It is taken as JSON or as a form, and fits the first token rule, by name, whose issuer, audience and conditions it has. Refusals are told as everywhere here."
	op.Security = []map[string][]string{{}}
	op.Parameters = nil
	schemas := s.api.OpenAPI().Components.Schemas
	schema := schemas.Schema(reflect.TypeFor[apiv1.TokenExchange](), true, "")
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}, formType: {Schema: schema}}}
	op.Responses[strconv.Itoa(http.StatusOK)] = &huma.Response{
		Description: "A key of an hour.", Content: map[string]*huma.MediaType{"application/json": {Schema: schemas.Schema(reflect.TypeFor[apiv1.TokenExchanged](), true, "")}},
	}
	s.api.OpenAPI().AddOperation(&op)
}

const formType = "application/x-www-form-urlencoded"

func (s *server) exchange(w http.ResponseWriter, r *http.Request) error {
	if err := s.limits.Count(r.Context(), w.Header(), ratelimit.Exchanges, ratelimit.Network(httpserve.Address(r))); err != nil {
		return err
	}
	in, err := readExchange(r)
	if err != nil {
		return err
	}
	secret, key, err := s.control.ExchangeToken(r.Context(), in.SubjectToken, httpserve.Address(r))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return marshal(w, apiv1.TokenExchanged{ //nolint:gosec // the key is the answer
		AccessToken: secret, IssuedTokenType: typeAccess, TokenType: "Bearer", ExpiresIn: int(control.ExchangedLifetime.Seconds()),
		ExpiresAt: key.ExpiresAt.UTC(), Username: key.Username, Role: string(key.Role), Scope: orNull(string(key.Scope)),
	})
}

// readExchange reads a request for a key, as JSON or as a form.
func readExchange(r *http.Request) (*apiv1.TokenExchange, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	in := &apiv1.TokenExchange{}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == formType {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, constellation.Errorf(constellation.KindMalformed, "the form cannot be read")
		}
		in.GrantType, in.SubjectToken, in.SubjectTokenType = form.Get("grant_type"), form.Get("subject_token"), form.Get("subject_token_type")
	} else {
		if err := checkMediaType(r.Header.Get("Content-Type")); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, in); err != nil {
			return nil, constellation.Errorf(constellation.KindMalformed, "the body is no JSON object with a subject_token")
		}
	}
	var v constellation.Validation
	if in.GrantType != "" && in.GrantType != exchangeGrant {
		v.Add("grant_type", "the grant_type is %s, or left out", exchangeGrant)
	}
	if in.SubjectTokenType != "" && !slices.Contains([]string{"jwt", "id_token"}, strings.TrimPrefix(in.SubjectTokenType, typePrefix)) {
		v.Add("subject_token_type", "the subject_token_type is %sjwt or %sid_token, or left out", typePrefix, typePrefix)
	}
	if in.SubjectToken == "" {
		v.Add("subject_token", "the workload's token is missing")
	}
	return in, v.Err()
}
