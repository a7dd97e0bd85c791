package operate

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// An operator's request proves that its sender knows the launch's token, for
// that method, address and body, and once: by a challenge that an engine made
// with its own clock, so that the clocks of two machines do not matter.
const (
	digestHeader  = "X-Constellation-Body-Sha256"
	proofScheme   = "Constellation-Launch "
	challengeLife = time.Minute
	challengeSize = 16 + sha256.Size
	// maxSpent bounds what is remembered of challenges that were answered. Only
	// those who know the token add to it.
	maxSpent = 10000
)

// challenger issues challenges and checks the proofs made with them.
type challenger struct {
	key []byte
	now func() time.Time

	mu    sync.Mutex
	spent map[string]time.Time
}

func newChallenger(token string, now func() time.Time) *challenger {
	return &challenger{key: proofKey(token), now: now, spent: map[string]time.Time{}}
}

func proofKey(token string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "constellation queue operator v1", sha256.Size)
	if err != nil {
		panic(err) // 32 bytes can always be derived
	}
	return key
}

func sum(key []byte, parts ...string) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		_, _ = mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		_, _ = mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}

// challenge returns one that is good for a minute. Nothing is kept of it.
func (g *challenger) challenge() string {
	b := make([]byte, 16, challengeSize)
	binary.BigEndian.PutUint64(b, uint64(g.now().UnixNano()))
	_, _ = rand.Read(b[8:]) // never fails
	return base64.RawURLEncoding.EncodeToString(append(b, sum(g.key, "challenge", string(b))...))
}

var errNoProof = errors.New("this is for the satellite's operator: whoever asks proves to know the launch's token")

// admit returns nil when the request was made by somebody who knows the token.
// That the body is the one that was meant is for the caller to see.
func (g *challenger) admit(r *http.Request) error {
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), proofScheme)
	challenge, proof, both := strings.Cut(text, ".")
	if !ok || !both {
		return errNoProof
	}
	raw, err := base64.RawURLEncoding.DecodeString(challenge)
	if err != nil || len(raw) != challengeSize || !hmac.Equal(raw[16:], sum(g.key, "challenge", string(raw[:16]))) {
		return errNoProof
	}
	want := prove(g.key, r.Method, r.URL.RequestURI(), challenge, r.Header.Get(digestHeader))
	if !hmac.Equal([]byte(proof), []byte(want)) {
		return errNoProof
	}
	made := time.Unix(0, int64(binary.BigEndian.Uint64(raw)))
	if age := g.now().Sub(made); age < 0 || age > challengeLife {
		return errors.New("the challenge is too old: ask for another")
	}
	return g.spend(challenge)
}

// spend remembers that a challenge was answered.
func (g *challenger) spend(challenge string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if _, again := g.spent[challenge]; again {
		return errors.New("the challenge was answered already: ask for another")
	}
	if len(g.spent) >= maxSpent {
		for c, at := range g.spent {
			if now.Sub(at) > challengeLife {
				delete(g.spent, c)
			}
		}
	}
	if len(g.spent) >= maxSpent {
		return errors.New("too many requests in a minute")
	}
	g.spent[challenge] = now
	return nil
}

func prove(key []byte, method, uri, challenge, digest string) string {
	return hex.EncodeToString(sum(key, "request", method, uri, challenge, digest))
}

func digestOf(body []byte) string {
	d := sha256.Sum256(body)
	return hex.EncodeToString(d[:])
}
