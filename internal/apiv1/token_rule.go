package apiv1

import "time"

// ClaimCondition is what a token must claim.
type ClaimCondition struct {
	Claim string `json:"claim" doc:"The claim's name, or its path, such as kubernetes.io.namespace." example:"repository"`
	Value string `json:"value" doc:"What it must be; each '*' stands for anything. Of a list, one entry must be so." example:"corp/models"`
}

// TokenRule says which workloads' tokens are exchanged for a key of an hour.
type TokenRule struct {
	ID         string           `json:"id" format:"uuid"`
	Name       string           `json:"name" example:"GitHub releases"`
	Issuer     string           `json:"issuer" doc:"Whose tokens (iss)." example:"https://token.actions.githubusercontent.com"`
	Audience   string           `json:"audience" doc:"Whom they must be for (aud)." example:"https://constellation.example.com"`
	JWKSURL    *string          `json:"jwks_url" doc:"Where the issuer's public keys are; null: where it says itself."`
	Conditions []ClaimCondition `json:"conditions" doc:"All of these must hold."`
	Account    string           `json:"account" doc:"The service account whose keys it gives." example:"release-bot"`
	Role       string           `json:"role" enum:"admin,operator,viewer" doc:"Of the keys that it gives."`
	Scope      *string          `json:"scope" doc:"What those keys are limited to; null: to their role alone." example:"push:corp/*"`
	CreatedAt  time.Time        `json:"created_at"`
	CreatedBy  string           `json:"created_by"`
}

// TokenRuleCreate is the body of POST /v1/token-rules and PUT /v1/token-rules/{rule_id}.
type TokenRuleCreate struct {
	Name       string           `json:"name" doc:"At most 200 characters; unique, ignoring case." example:"GitHub releases"`
	Issuer     string           `json:"issuer" doc:"Whose tokens (iss); https." example:"https://token.actions.githubusercontent.com"`
	Audience   string           `json:"audience" doc:"Whom they must be for (aud)." example:"https://constellation.example.com"`
	JWKSURL    string           `json:"jwks_url,omitempty" doc:"Where the issuer's public keys are; left out, where it says itself (OpenID Connect discovery)."`
	CA         string           `json:"ca,omitempty" doc:"Certificates in PEM that are trusted besides the system's when the keys are fetched."`
	Conditions []ClaimCondition `json:"conditions" doc:"1 to 20 conditions, all of which must hold; one at least tells one workload from another."`
	Account    string           `json:"account" doc:"The service account whose keys it gives." example:"robot"`
	Role       string           `json:"role" doc:"admin, operator or viewer, and no higher than the account's." example:"viewer"`
	Scope      string           `json:"scope,omitempty" doc:"Limits the keys, as an API key's scope does."`
}

// TokenExchange is the body of POST /v1/token-exchange, in the words of RFC 8693.
type TokenExchange struct {
	GrantType        string `json:"grant_type,omitempty" doc:"urn:ietf:params:oauth:grant-type:token-exchange, or left out."`
	SubjectToken     string `json:"subject_token" doc:"The workload's token: a JWT that its issuer signed."`
	SubjectTokenType string `json:"subject_token_type,omitempty" doc:"urn:ietf:params:oauth:token-type:jwt or …:id_token, or left out."`
}

// TokenExchanged answers POST /v1/token-exchange.
type TokenExchanged struct {
	AccessToken     string    `json:"access_token" doc:"An API key, which expires." example:"cst_…"`
	IssuedTokenType string    `json:"issued_token_type" example:"urn:ietf:params:oauth:token-type:access_token"`
	TokenType       string    `json:"token_type" example:"Bearer"`
	ExpiresIn       int       `json:"expires_in" doc:"Seconds." example:"3600"`
	ExpiresAt       time.Time `json:"expires_at"`
	Username        string    `json:"username" doc:"Whose key it is: the name to log in to the registry with." example:"release-bot"`
	Role            string    `json:"role" enum:"admin,operator,viewer"`
	Scope           *string   `json:"scope" doc:"null: limited by the role alone."`
}
