package install

import (
	"crypto/ed25519"
	"path/filepath"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// trust is DEPLOY_ROOT/trust.json: the motherships that this machine knows.
type trust struct {
	Last        string   `json:"last"` // address of the last get
	Motherships []pinned `json:"motherships"`
}

// pinned is a mothership's public key, kept at the first get from it.
type pinned struct {
	Address   string `json:"address"`
	KeyID     string `json:"key_id"`
	PublicKey []byte `json:"public_key"`
}

func trustFile(root string) string { return filepath.Join(root, "trust.json") }

func readTrust(root string) (trust, error) {
	var t trust
	if err := readJSON(trustFile(root), &t); err != nil {
		return t, wrap(err, CodeFailed, "read the motherships that this machine trusts")
	}
	return t, nil
}

// LastMothership gives the address of the last get, "" when there was none.
func LastMothership(root string) (string, error) {
	t, err := readTrust(root)
	return t.Last, err
}

// check verifies a root's signature against the key pinned for address, and
// pins a key that is new: the first one seen, or the one whose id the operator
// trusts. With address "" (offline) any pinned key will do, and a new one is
// pinned only when trusted names it.
func (t *trust) check(root []byte, signature bundle.Signature, address, trusted string) (note string, err error) {
	if err := signature.Verify(root, nil); err != nil {
		return "", wrap(err, CodeIntegrity, "the launch is not what its mothership signed; get it again")
	}
	key := ed25519.PublicKey(signature.PublicKey)
	id := bundle.KeyID(key)
	matches := func(p pinned) bool { return address == "" || p.Address == address }
	known := slices.DeleteFunc(slices.Clone(t.Motherships), func(p pinned) bool { return !matches(p) })
	if slices.ContainsFunc(known, func(p pinned) bool { return key.Equal(ed25519.PublicKey(p.PublicKey)) }) {
		return "", nil
	}
	if len(known) > 0 && trusted != id {
		return "", errorf(CodeIntegrity,
			"the launch is signed with key %s, and this machine trusts %s; if the mothership's admin confirms that key, run again with --trust %s",
			id, ids(known), id)
	}
	if trusted != "" && trusted != id {
		return "", errorf(CodeIntegrity, "the launch is signed with key %s, and not with the key %s that --trust names", id, trusted)
	}
	if address == "" && trusted == "" {
		return "the launch is signed with key " + id + ", which this machine has not seen before", nil
	}
	if address != "" {
		t.Motherships = slices.DeleteFunc(t.Motherships, matches)
	}
	t.Motherships = append(t.Motherships, pinned{Address: address, KeyID: id, PublicKey: key})
	return "trusting the mothership's key " + id + " from now on; its admin can confirm it", nil
}

func ids(known []pinned) string {
	list := make([]string, len(known))
	for i, p := range known {
		list[i] = p.KeyID
	}
	return strings.Join(list, ", ")
}
