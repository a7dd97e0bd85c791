package identity

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/keyring"
)

// maxToken is the length of a token in bytes.
const maxToken = 16 << 10

// signatures are the ways of signing that are taken: by a private key alone.
// "none" and what is signed with a shared secret is not among them, so that nobody
// can use a public key as such a secret.
var signatures = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// IsToken reports whether a credential has a token's form, which no key has.
func IsToken(credential []byte) bool {
	return bytes.HasPrefix(credential, []byte("ey")) && bytes.Count(credential, []byte(".")) == 2
}

// Token returns whom a token names. The error is a *Refusal.
func (i *Identities) Token(token []byte, now time.Time) (keyring.Identity, error) {
	issuer := i.issuer.Load()
	if issuer == nil {
		return keyring.Identity{}, refuse("this satellite takes API keys and no tokens: its operator can let it with stage.auth.jwt.issuer")
	}
	if len(token) > maxToken {
		return keyring.Identity{}, refuse("this token has more than %d bytes", maxToken)
	}
	keys := issuer.keys.Load()
	if keys == nil || issuer.tooOld(keys, now) {
		return keyring.Identity{}, &Refusal{
			Message: "the keys of the issuer of tokens are not known to this satellite, so that it cannot check yours; try again later, or call with an API key",
			Unready: true, Wait: issuer.mayRefresh(now),
		}
	}
	sum := sha256.Sum256(token)
	if who, ok := keys.verified.Get(sum); ok {
		if now.After(who.ExpiresAt) {
			return keyring.Identity{}, refuseExpired(who.ExpiresAt.Add(-issuer.settings.Leeway()))
		}
		return who, nil
	}
	who, err := issuer.verify(string(token), keys, now)
	if err != nil {
		i.counts.refused.Add(1)
		return keyring.Identity{}, err
	}
	i.counts.verified.Add(1)
	keys.verified.Add(sum, who)
	return who, nil
}

func refuseExpired(at time.Time) *Refusal {
	return refuse("this token expired on %s", at.UTC().Format(time.RFC3339))
}

// verify checks a token's signature, and then what it claims.
func (s *issuer) verify(text string, keys *keySet, now time.Time) (keyring.Identity, error) {
	token, err := jwt.ParseSigned(text, signatures)
	if unexpected, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
		return keyring.Identity{}, refuse("this token is signed by %q, and this satellite takes RS, PS and ES with 256, 384 and 512, and EdDSA", clean(string(unexpected.Got)))
	}
	if err != nil || len(token.Headers) != 1 {
		return keyring.Identity{}, refuse("this token cannot be read")
	}
	header := token.Headers[0]
	if len(header.KeyID) > maxPattern {
		return keyring.Identity{}, refuse("this token cannot be read")
	}
	candidates := keys.find(header.KeyID, header.Algorithm)
	if len(candidates) == 0 {
		r := refuse("this token is signed with the key %q, which its issuer does not have", clean(header.KeyID))
		r.Wait = s.mayRefresh(now)
		return keyring.Identity{}, r
	}
	for _, key := range candidates {
		var claims jwt.Claims
		all := map[string]any{}
		into := []any{&claims}
		if s.settings.AlgorithmsClaim != "" {
			into = append(into, &all)
		}
		if token.Claims(key.Key, into...) == nil {
			return s.identify(&claims, all, now)
		}
	}
	return keyring.Identity{}, refuse("this token's signature is not its issuer's, or what it claims cannot be read")
}

// identify holds claims to the settings and returns whom they name.
func (s *issuer) identify(claims *jwt.Claims, all map[string]any, now time.Time) (keyring.Identity, error) {
	leeway := s.settings.Leeway()
	switch err := claims.ValidateWithLeeway(jwt.Expected{Issuer: s.settings.Issuer, AnyAudience: s.settings.Audience, Time: now}, leeway); {
	case claims.Expiry == nil:
		return keyring.Identity{}, refuse("this token never expires (it has no exp), and such are not taken")
	case errors.Is(err, jwt.ErrExpired):
		return keyring.Identity{}, refuseExpired(claims.Expiry.Time())
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return keyring.Identity{}, refuse("this token's issuer (iss) is %q, and this satellite's is %q", clean(claims.Issuer), s.settings.Issuer)
	case errors.Is(err, jwt.ErrInvalidAudience):
		return keyring.Identity{}, refuse("this token is for the audience (aud) %q, and this satellite's is %q", clean(strings.Join(claims.Audience, " ")), strings.Join(s.settings.Audience, " "))
	case err != nil:
		return keyring.Identity{}, refuse("this token is of the future (nbf or iat): the clocks of its issuer and of this satellite differ by more than %s", leeway)
	case claims.Subject == "" || len(claims.Subject) > maxPattern:
		return keyring.Identity{}, refuse("this token names no subject (sub), or one of more than %d bytes", maxPattern)
	}
	who := keyring.Identity{ID: s.id + digest(s.settings.Issuer, claims.Subject)[:32], Name: clean(claims.Subject), May: everything, ExpiresAt: claims.Expiry.Time().Add(leeway)}
	if claim := s.settings.AlgorithmsClaim; claim != "" {
		who.May = readScope(constellation.FindClaim(all, claim), s.settings.AlgorithmsPrefix).may
	}
	return who, nil
}

// issuerID is what the IDs of an issuer's identities begin with.
func issuerID(issuer string) string { return keyring.TokenIDs + digest(issuer)[:8] + "-" }

// digest returns the digest of texts, none of which can pass for two.
func digest(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// IsOf reports whether an ID is of an identity that may still have calls made:
// its issuer, or client certificates, are in force.
func (i *Identities) IsOf(id string) bool {
	if s := i.issuer.Load(); s != nil && strings.HasPrefix(id, s.id) {
		return true
	}
	return i.authority.Load() != nil && strings.HasPrefix(id, keyring.CertificateIDs)
}
