package keyring

import (
	"fmt"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Identity is a caller without a key: whom a token or a certificate names.
type Identity struct {
	ID        string                      // the same for each of its tokens, and no key's
	Name      string                      // for logs and messages, bounded and printable
	May       func(vanityURL string) bool // which algorithms it may call
	ExpiresAt time.Time                   // of the token or certificate
}

// What the IDs of identities begin with, and no key's.
const (
	TokenIDs       = "jwt-"
	CertificateIDs = "cert-"
)

// IsIdentity reports whether an ID is an identity's.
func IsIdentity(id string) bool {
	return strings.HasPrefix(id, TokenIDs) || strings.HasPrefix(id, CertificateIDs)
}

// Sees reports whether the key may see what a key or an identity began, of an
// algorithm that it may call: what an identity began is its own.
func (k *Key) Sees(id string) bool { return id == k.ID || !IsIdentity(id) }

// maxIdentities is how many identities' rates are remembered. One that made no
// call for long begins with a fresh rate, once so many others came.
const maxIdentities = 10_000

func newUses() *lru.Cache[string, *use] {
	uses, err := lru.New[string, *use](maxIdentities)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return uses
}

// Identify returns an identity as a key in force, with the standard rate, which
// all calls of the identity share.
func (r *Ring) Identify(i Identity) Key {
	return Key{Key: config.Key{ID: i.ID, Name: i.Name, ExpiresAt: i.ExpiresAt}, use: r.useOf(i.ID), may: i.May}
}

// useOf returns what calls change of an identity.
func (r *Ring) useOf(id string) *use {
	if u, ok := r.identities.Get(id); ok {
		return u
	}
	u := &use{rate: r.rate}
	if r.rate.PerSecond > 0 {
		u.limit = rate.NewLimiter(rate.Limit(r.rate.PerSecond), r.rate.BurstOrDefault())
	}
	if before, ok, _ := r.identities.PeekOrAdd(id, u); ok {
		return before
	}
	return u
}

// May reports whether the key, or the identity, may call the algorithm at a
// vanity URL.
func (k Key) May(vanityURL string) bool {
	if k.may != nil {
		return k.may(vanityURL)
	}
	return k.Key.May(vanityURL)
}

// IsIdentity reports whether this is a caller without a key.
func (k *Key) IsIdentity() bool { return k.may != nil }

// Title names the key or the identity in a message.
func (k *Key) Title() string {
	if k.IsIdentity() {
		return fmt.Sprintf("the caller %q", k.Name)
	}
	return fmt.Sprintf("the API key %q", k.Name)
}

// Subject returns the name of an identity, "" of a key.
func (k *Key) Subject() string {
	if k.IsIdentity() {
		return k.Name
	}
	return ""
}
