package async

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// A request id is "req-" and a UUID (version 8) of 122 bits of our own:
//
//	ticket  83  what tells one call from another: 63 bits, random or derived from
//	            the caller's Idempotency-Key, and 20 that seal them with the
//	            algorithm
//	position 39 where in the queue the call is, masked by the ticket
//
// The seal says whose call it is before anything is looked up: an id that was
// made up, or is of another algorithm, costs the queue nothing. The position
// finds a call that waits without a record of it, so that accepting one is one write.
const (
	nonceBits = 63
	sealBits  = 20
	seqBits   = 38
)

// maxSeq is the last position that an id has room for: a call a millisecond for
// eight years.
const maxSeq = 1<<seqBits - 1

// Ticket names a call in the queue and in its records.
type Ticket struct {
	nonce uint64
	seal  uint32
}

// String returns the ticket as the queue and the records have it.
func (t Ticket) String() string {
	b := binary.BigEndian.AppendUint64(nil, t.nonce)
	b = append(b, byte(t.seal>>16), byte(t.seal>>8), byte(t.seal))
	return hex.EncodeToString(b)
}

// Position is where a call is in the queue: at Seq, or, when it is not known where
// it was stored, somewhere after it.
type Position struct {
	Seq   uint64
	After bool
}

// IDCodec encodes and decodes the request ids of a launch, with a secret that all
// its engines share.
type IDCodec struct{ secret []byte }

// NewIDCodec returns the codec of a launch with that secret.
func NewIDCodec(secret []byte) *IDCodec {
	m := &IDCodec{secret: secret}
	m.secret = m.sum("constellation request ids")
	return m
}

// NewTicket returns a random ticket for a new call of an algorithm.
func (m *IDCodec) NewTicket(vanityURL string) Ticket {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return m.ticket(binary.BigEndian.Uint64(b[:])>>(64-nonceBits), vanityURL)
}

// DeriveTicket returns the ticket of the call that a key made with this
// Idempotency-Key, always the same.
func (m *IDCodec) DeriveTicket(vanityURL, keyID, idempotencyKey string) Ticket {
	sum := m.sum("idempotent", keyID, vanityURL, idempotencyKey)
	return m.ticket(binary.BigEndian.Uint64(sum)>>(64-nonceBits), vanityURL)
}

func (m *IDCodec) ticket(nonce uint64, vanityURL string) Ticket {
	return Ticket{nonce, m.seal(nonce, vanityURL)}
}

func (m *IDCodec) seal(nonce uint64, vanityURL string) uint32 {
	sum := m.sum("seal", string(binary.BigEndian.AppendUint64(nil, nonce)), vanityURL)
	return binary.BigEndian.Uint32(sum) >> (32 - sealBits)
}

// mask hides positions, which would tell how many calls there are.
func (m *IDCodec) mask(t Ticket) uint64 {
	return binary.BigEndian.Uint64(m.sum("place", t.String())) >> (64 - seqBits - 1)
}

// sum returns the HMAC of parts, none of which can be mistaken for another.
func (m *IDCodec) sum(parts ...string) []byte {
	h := hmac.New(sha256.New, m.secret)
	for _, part := range parts {
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		_, _ = h.Write([]byte(part))
	}
	return h.Sum(nil)
}

// Encode returns the request id of a call.
func (m *IDCodec) Encode(t Ticket, at Position) string {
	place := min(at.Seq, maxSeq) << 1
	if at.After {
		place |= 1
	}
	place ^= m.mask(t)
	// 122 bits, from the top: nonce 63, seal 20, position 39.
	high := t.nonce<<1 | uint64(t.seal>>19)
	low := uint64(t.seal&(1<<19-1))<<39 | place // 58 bits
	var u [16]byte
	binary.BigEndian.PutUint64(u[:8], high>>16<<16|8<<12|high>>4&0xfff)
	binary.BigEndian.PutUint64(u[8:], 2<<62|high&0xf<<58|low)
	b := make([]byte, 0, 40)
	b = append(b, "req-"...)
	b = hex.AppendEncode(b, u[:4])
	for _, part := range [...][]byte{u[4:6], u[6:8], u[8:10], u[10:]} {
		b = append(b, '-')
		b = hex.AppendEncode(b, part)
	}
	return string(b)
}

// Decode returns the ticket and the position in a request id, and reports whether it
// is one of an algorithm's calls.
func (m *IDCodec) Decode(id, vanityURL string) (t Ticket, at Position, ok bool) {
	t, place, ok := readID(id)
	if !ok || m.seal(t.nonce, vanityURL) != t.seal {
		return Ticket{}, Position{}, false
	}
	place ^= m.mask(t)
	return t, Position{Seq: place >> 1, After: place&1 == 1}, true
}

// readID reads an id that Encode wrote; the position is masked.
func readID(id string) (t Ticket, place uint64, ok bool) {
	text, ok := strings.CutPrefix(id, "req-")
	if !ok || len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return Ticket{}, 0, false
	}
	raw, err := hex.DecodeString(text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:])
	if err != nil || strings.ToLower(text) != text {
		return Ticket{}, 0, false
	}
	a, b := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	if a>>12&0xf != 8 || b>>62 != 2 {
		return Ticket{}, 0, false
	}
	high := a>>16<<16 | a&0xfff<<4 | b>>58&0xf
	low := b & (1<<58 - 1)
	t = Ticket{nonce: high >> 1, seal: uint32(high&1)<<19 | uint32(low>>39)}
	return t, low & (1<<39 - 1), true
}

// parseTicket reads a ticket that String wrote.
func parseTicket(s string) (Ticket, bool) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != 11 {
		return Ticket{}, false
	}
	t := Ticket{nonce: binary.BigEndian.Uint64(raw), seal: uint32(raw[8])<<16 | uint32(raw[9])<<8 | uint32(raw[10])}
	return t, t.nonce>>nonceBits == 0 && t.seal>>sealBits == 0 && t.String() == s
}

// Owns reports whether the ticket belongs to a call of an algorithm.
func (m *IDCodec) Owns(t Ticket, vanityURL string) bool { return m.seal(t.nonce, vanityURL) == t.seal }
