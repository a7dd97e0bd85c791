package store

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// Trust is trust.json of a deployment folder: the motherships whose launches
// this machine takes.
type Trust struct {
	Last        string   `json:"last"` // address of the last get
	Motherships []pinned `json:"motherships"`
}

// pinned is a mothership's public key, kept at the first get from it, or when
// the operator confirmed its ID. It only goes forward: see follow.
type pinned struct {
	Address   string    `json:"address"` // "" when it came with a launch that was carried here
	KeyID     string    `json:"key_id"`
	PublicKey []byte    `json:"public_key"`
	Earlier   []earlier `json:"earlier,omitempty"` // the keys that it came after
}

const trustFile = "trust.json"

// ReadTrust reads whom this machine trusts. A file that another machine wrote
// says nothing: whoever sent the folder would have chosen its keys.
func (f Folder) ReadTrust() (Trust, error) {
	var t Trust
	for _, place := range []Tree{f.workplace(), f.deployment()} {
		if ours, err := place.readSealed(trustFile, trustFile, &t); err != nil {
			return Trust{}, fault.Wrap(err, fault.CodeFailed, "read the motherships that this machine trusts")
		} else if ours {
			return t, nil
		}
	}
	return t, nil
}

// WriteTrust notes whom this machine trusts.
func (f Folder) WriteTrust(t Trust) error {
	err := f.MakeNotes("work")
	if err == nil {
		err = f.workplace().writeSealed(trustFile, trustFile, t)
	}
	return f.NoteError(err, "remember the mothership's key")
}

// LastMothership returns the address of the last get, "" when there was none.
func LastMothership(root string) (string, error) {
	t, err := Folder{Root: root}.ReadTrust()
	return t.Last, err
}

// Trusted is what Check made of a signature.
type Trusted struct {
	Changed bool   // whom this machine trusts: write it
	Line    string // what the operator is told; "" is nothing
}

// Check verifies a root's signature against the keys that are pinned. It pins
// another: the first of an address that is asked over the network, the one whose
// ID the operator confirms, or the one that a pinned key was rotated to. With address ""
// (a launch that is here, or was carried here) nothing is pinned unasked. A launch
// that an earlier key has signed is taken until that key's time is over; with late,
// which is for what only reads a launch, also afterwards.
func (t *Trust) Check(root []byte, signature bundle.Signature, address, confirmed string, now time.Time, late bool) (Trusted, error) {
	const refused = "the launch is not what its mothership signed; get it again"
	if err := signature.Verify(root, nil); err != nil {
		return Trusted{}, fault.Wrap(err, fault.CodeIntegrity, refused)
	}
	chain, err := signature.Chain()
	if err != nil {
		return Trusted{}, fault.Wrap(err, fault.CodeIntegrity, refused)
	}
	key := ed25519.PublicKey(signature.PublicKey)
	id := bundle.KeyID(key)
	matches := func(p pinned) bool { return address == "" || p.Address == address }
	known := slices.DeleteFunc(slices.Clone(t.Motherships), func(p pinned) bool { return !matches(p) })
	switch {
	case confirmed != "" && !names(confirmed, key) && !leadsOn(confirmed, chain):
		return Trusted{}, fault.Errorf(fault.CodeIntegrity, "the launch is signed with key %s, and not with the key %s that --trust names", id, confirmed)
	case slices.ContainsFunc(known, func(p pinned) bool { return p.is(key) }):
		return Trusted{Changed: t.learn(key, chain)}, nil
	case confirmed == "":
		if trusted, err, settled := t.follow(known, key, chain, now, late); settled {
			return trusted, err
		}
	}
	switch {
	case confirmed == "" && len(known) > 0:
		return Trusted{}, unconfirmed("the launch is signed with key "+id+", and this machine trusts "+ids(known), id)
	case confirmed == "" && address == "":
		return Trusted{}, unconfirmed("the launch is signed with key "+id+", and this machine trusts no mothership's key yet", id)
	}
	if address != "" {
		t.Motherships = slices.DeleteFunc(t.Motherships, matches)
	}
	t.move(key, chain)
	if address != "" || !slices.ContainsFunc(t.Motherships, func(p pinned) bool { return p.is(key) }) {
		t.Motherships = append(t.Motherships, pinned{Address: address, KeyID: id, PublicKey: key})
	}
	t.learn(key, chain)
	line := "trusting the mothership's key " + id + " from now on"
	if address != "" {
		line += "; its admin can confirm it"
	}
	return Trusted{Changed: true, Line: line}, nil
}

// names reports whether the operator means this key: by its ID, or by the
// whole fingerprint that the ID begins.
func names(confirmed string, key ed25519.PublicKey) bool {
	sum := sha256.Sum256(key)
	confirmed = strings.ToLower(confirmed)
	return confirmed == bundle.KeyID(key) || confirmed == hex.EncodeToString(sum[:])
}

// unconfirmed returns the error that says where the right key's ID is read, and what then to do.
func unconfirmed(message, id string) error {
	return &fault.Error{Code: fault.CodeIntegrity, Message: message,
		Next: "→ ask an admin of the mothership for its key's ID, by another way than the launch came: it is on the panel's System page, printed by 'mothership signing-key', and in GET /v1/system\n" +
			"→ if it is " + id + ", run this again with --trust " + id + ", which remembers it; if not, the launch is not your mothership's"}
}

func ids(known []pinned) string {
	list := make([]string, len(known))
	for i, p := range known {
		list[i] = p.KeyID
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ", ")
}
