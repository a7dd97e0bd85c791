package store

import (
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// earlier is a key that a pinned one came after, as the pinned one itself says.
type earlier struct {
	KeyID         string    `json:"key_id"`
	PublicKey     []byte    `json:"public_key"`
	AcceptedUntil time.Time `json:"accepted_until"`
	Revoked       bool      `json:"revoked,omitempty"` // or one after it was
}

func (p *pinned) is(key ed25519.PublicKey) bool { return key.Equal(ed25519.PublicKey(p.PublicKey)) }

func (e *earlier) is(key ed25519.PublicKey) bool { return key.Equal(ed25519.PublicKey(e.PublicKey)) }

// follow settles a signature by a key that is not pinned, and is of the same
// mothership: the one that a pinned key was rotated to is pinned in its place, and
// one that a pinned key came after is held to its time.
func (t *Trust) follow(known []pinned, key ed25519.PublicKey, chain []bundle.RotationStatement, now time.Time, late bool) (trusted Trusted, err error, settled bool) { //nolint:revive,staticcheck // settled says of both whether they count
	id := bundle.KeyID(key)
	for _, p := range known {
		for _, e := range p.Earlier {
			if e.is(key) {
				return Trusted{}, e.taken(p.KeyID, now, late), true
			}
		}
	}
	for _, p := range known {
		from := slices.IndexFunc(chain, func(s bundle.RotationStatement) bool { return p.is(s.OldKey) })
		if from < 0 {
			continue
		}
		for _, step := range chain[from:] {
			if step.Revoked {
				return Trusted{}, unconfirmed("the launch is signed with key "+id+", and says that the key "+bundle.KeyID(step.OldKey)+
					" before it is revoked; this machine trusts "+p.KeyID+", and nobody but a person may lead it further", id), true
			}
		}
		t.move(key, chain)
		t.learn(key, chain)
		return Trusted{Changed: true, Line: "the mothership rotated its key: trusting " + id + " from now on, which " + p.KeyID + " leads to"}, nil, true
	}
	return Trusted{}, nil, false
}

// leadsOn reports whether the operator means a key that led to the last of a chain.
func leadsOn(confirmed string, chain []bundle.RotationStatement) bool {
	from := slices.IndexFunc(chain, func(s bundle.RotationStatement) bool { return names(confirmed, s.OldKey) })
	return from >= 0 && !slices.ContainsFunc(chain[from:], func(s bundle.RotationStatement) bool { return s.Revoked })
}

// taken returns why a launch is not taken that the earlier key has signed.
func (e *earlier) taken(current string, now time.Time, late bool) error {
	switch {
	case e.Revoked:
		return fault.Errorf(fault.CodeIntegrity, "the launch is signed with key %s, which its mothership revoked: get it again, signed with %s or a later key", e.KeyID, current)
	case !late && now.After(e.AcceptedUntil):
		return fault.Errorf(fault.CodeIntegrity, "the launch is signed with key %s, which its mothership replaced by %s, and which was good until %s: get it again", e.KeyID, current, e.AcceptedUntil.UTC().Format(time.DateOnly))
	}
	return nil
}

// move pins key in place of every key that its rotations name as one before it. A
// key that is trusted stands by them: it has signed each.
func (t *Trust) move(key ed25519.PublicKey, chain []bundle.RotationStatement) {
	for i := range t.Motherships {
		p := &t.Motherships[i]
		if slices.ContainsFunc(chain, func(s bundle.RotationStatement) bool { return p.is(s.OldKey) }) {
			p.KeyID, p.PublicKey = bundle.KeyID(key), key
		}
	}
}

// learn notes which keys a pinned key came after, and reports whether that is news.
func (t *Trust) learn(key ed25519.PublicKey, chain []bundle.RotationStatement) (news bool) {
	list := make([]earlier, len(chain))
	revoked := false
	for i, step := range slices.Backward(chain) {
		revoked = revoked || step.Revoked
		list[i] = earlier{KeyID: bundle.KeyID(step.OldKey), PublicKey: step.OldKey, AcceptedUntil: step.AcceptedUntil, Revoked: revoked}
	}
	for i := range t.Motherships {
		p := &t.Motherships[i]
		if !p.is(key) || len(list) == 0 || len(p.Earlier) == len(list) && p.Earlier[0].is(list[0].PublicKey) {
			continue // the chain of a key never changes but by what is left out at its beginning
		}
		p.Earlier, news = list, true
	}
	return news
}
