package constellation

import "strconv"

// KeyRoom is what the working keys of a satellite take in its cluster, where
// all of them are one Secret.
type KeyRoom struct {
	Keys        int // how many there are
	Names       int // bytes of their names, as JSON
	Algorithms  int // how often they name a vanity URL
	VanityURLs  int // how many different ones
	VanityNames int // bytes of those
	Callbacks   int // bytes of their callbacks' URLs, as JSON
}

// MaxKeyRoom is what Bytes may be: a Secret takes a mebibyte, and holds the
// launch's token too.
const MaxKeyRoom = 1_000_000

// keyBytes are those of a key without its name and algorithms: id, hash,
// expiry, rate and what JSON puts around them.
const keyBytes = 256

// Bytes is the most that the engines' keys.json takes with these keys.
func (r KeyRoom) Bytes() int {
	place := len(strconv.Itoa(r.VanityURLs)) + 1
	return r.Keys*keyBytes + r.Names + r.Algorithms*place + r.VanityURLs*len(`"",`) + r.VanityNames + r.Callbacks
}

// Check is nil, or says that a cluster has no room for the keys.
func (r KeyRoom) Check() error {
	if r.Bytes() <= MaxKeyRoom {
		return nil
	}
	return Errorf(KindInvalid, "with this key the %d that work would take %d KB in the satellite's cluster, and there is room for %d; revoke keys that nobody uses, or limit this one to fewer algorithms",
		r.Keys, r.Bytes()/1000, MaxKeyRoom/1000)
}
