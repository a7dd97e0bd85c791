package config

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// The files of identities and TLS that the installer puts beside routes.json. In
// KeptSecret, JWKSFile is the issuer's keys as they were last fetched, so that an
// engine which starts while the issuer is away knows them.
const (
	JWKSFile     = "jwks.json"
	ClientCAFile = "client-ca.pem"
	TLSCertFile  = "tls.crt"
	TLSKeyFile   = "tls.key"
)

// Bounds of what says who may call without a key.
const (
	DefaultLeeway   = 60 * time.Second
	MaxLeeway       = 10 * time.Minute
	maxAudiences    = 16
	maxIdentityText = 256
	MaxClientRules  = 1000
)

// Auth is routes.json's auth: who may call besides the keys of keys.json.
type Auth struct {
	JWT      *JWT      `json:"jwt,omitempty"`
	ClientCA *ClientCA `json:"client_ca,omitempty"`
}

// JWT is an issuer whose tokens are taken in place of a key. The issuer's keys
// come from JWKSURL, or from JWKSFile for a site that does not reach the issuer.
type JWT struct {
	Issuer   string   `json:"issuer"`
	Audience []string `json:"audience"` // a token is for one of them
	JWKSURL  string   `json:"jwks_url,omitempty"`
	JWKSFile string   `json:"jwks_file,omitempty"` // relative to the folder of routes.json
	CA       string   `json:"ca,omitempty"`        // whom the engine trusts at JWKSURL besides the system's, PEM

	// AlgorithmsClaim names the claim that lists what a token's bearer may call;
	// "": each bearer may call all. Its entries are vanity URLs, "foo/*" or "*";
	// those without AlgorithmsPrefix are of something else.
	AlgorithmsClaim  string `json:"algorithms_claim,omitempty"`
	AlgorithmsPrefix string `json:"algorithms_prefix,omitempty"`

	LeewaySeconds *int64 `json:"leeway_seconds,omitempty"` // for clocks that differ; nil is DefaultLeeway
}

// Leeway returns by how much the issuer's clock may differ.
func (j *JWT) Leeway() time.Duration {
	if j.LeewaySeconds == nil {
		return DefaultLeeway
	}
	return time.Duration(*j.LeewaySeconds) * time.Second
}

// ClientCA is the certificate authorities whose client certificates are taken in
// place of a key, where the engine serves TLS.
type ClientCA struct {
	File  string       `json:"file"`            // PEM, relative to the folder of routes.json
	Rules []ClientRule `json:"rules,omitempty"` // none: each certificate may call all
}

// ClientRule lets the certificates of a name call algorithms.
type ClientRule struct {
	Name       string   `json:"name"`       // a name of the certificate, exactly, or "*.DOMAIN"
	Algorithms []string `json:"algorithms"` // vanity URLs, "foo/*" or "*"
}

// CheckJWKSURL notes whether a JWKS can be fetched from a URL safely.
func CheckJWKSURL(v *constellation.Validation, field, text string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" || len(text) > 2048:
		v.Add(field, "the issuer's keys are at a URL such as https://login.example.com/keys, without a user or password")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		v.Add(field, "the issuer's keys come by https: by %s anybody on the way could put in their own", text)
	}
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// CheckCallPattern notes whether a text is a vanity URL, "foo/*" or "*".
func CheckCallPattern(v *constellation.Validation, field, pattern string) {
	if pattern == "*" {
		return
	}
	if stem, ok := strings.CutSuffix(pattern, "/*"); ok {
		constellation.CheckVanityURL(v, field, stem+"/x")
		return
	}
	constellation.CheckVanityURL(v, field, pattern)
}

// CheckIdentityText notes whether a text that is compared with what a token or a
// certificate says can be meant.
func CheckIdentityText(v *constellation.Validation, field, what, text string) {
	if text == "" || len(text) > maxIdentityText || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		v.Add(field, "%s is 1 to %d characters without spaces", what, maxIdentityText)
	}
}

func (j *JWT) check(v *constellation.Validation) {
	CheckIdentityText(v, "issuer", "the issuer of tokens, as their claim iss has it,", j.Issuer)
	if len(j.Audience) == 0 || len(j.Audience) > maxAudiences {
		v.Add("audience", "tokens need 1 to %d audiences that they are for: without, any token of the issuer would open this satellite", maxAudiences)
	}
	for _, a := range j.Audience {
		CheckIdentityText(v, "audience", "an audience", a)
	}
	switch {
	case (j.JWKSURL == "") == (j.JWKSFile == ""):
		v.Add("jwks_url", "the issuer's keys come from jwks_url or from jwks_file: name one of both")
	case j.JWKSURL != "":
		CheckJWKSURL(v, "jwks_url", j.JWKSURL)
	}
	if j.AlgorithmsClaim != "" {
		CheckIdentityText(v, "algorithms_claim", "the claim that lists algorithms", j.AlgorithmsClaim)
	}
	if j.AlgorithmsPrefix != "" {
		CheckIdentityText(v, "algorithms_prefix", "the prefix of algorithms", j.AlgorithmsPrefix)
	}
	if j.AlgorithmsPrefix != "" && j.AlgorithmsClaim == "" {
		v.Add("algorithms_prefix", "a prefix of algorithms needs the claim that lists them")
	}
	if leeway := j.Leeway(); leeway < 0 || leeway > MaxLeeway {
		v.Add("leeway_seconds", "leeway_seconds is a number from 0 to %d", MaxLeeway/time.Second)
	}
}

func (c *ClientCA) check(v *constellation.Validation) {
	if c.File == "" {
		v.Add("file", "client certificates need the file of their authorities")
	}
	if len(c.Rules) > MaxClientRules {
		v.Add("rules", "there are at most %d rules of client certificates; these are %d", MaxClientRules, len(c.Rules))
		return
	}
	for _, rule := range c.Rules {
		CheckIdentityText(v, "rules", "a certificate's name", rule.Name)
		if len(rule.Algorithms) == 0 {
			v.Add("rules", "the certificate %q may call nothing: name algorithms, or \"*\" for all", rule.Name)
		}
		for _, pattern := range rule.Algorithms {
			CheckCallPattern(v, "rules", pattern)
		}
	}
}

// Validate returns nil, or a KindInvalid error that names what breaks a rule.
func (a Auth) Validate() error {
	sieve := newSieve("auth")
	a.sift(sieve)
	return sieve.err()
}

// sift leaves out what breaks a rule: nobody calls by what was not understood.
func (a *Auth) sift(sieve *sieve) {
	if a.JWT != nil && !sieve.passes(0, "auth.jwt", a.JWT.check) {
		a.JWT = nil
	}
	if a.ClientCA != nil && !sieve.passes(0, "auth.client_ca", a.ClientCA.check) {
		a.ClientCA = nil
	}
}

// decodeAuth reads routes.json's auth. A part that breaks a rule is refused, and
// keys go on to work.
func (r *Routes) decodeAuth(auth json.RawMessage, sieve *sieve) {
	r.Auth = Auth{}
	if len(auth) == 0 {
		return
	}
	if err := decodePart(auth, &r.Auth); err != nil {
		r.Auth = Auth{}
		sieve.refuse(0, "auth", err)
		return
	}
	r.Auth.sift(sieve)
}
