package peer

import (
	"encoding/binary"
	"errors"

	"github.com/constellation-serving/constellation/internal/satellite/pool"
)

// kind is the kind of a message. The values go over the wire.
type kind byte

const (
	kindAcquire kind = iota + 1
	kindGrant
	kindRefuse
	kindCancel
	kindRelease
	kindClaim
	kindState
	kindReport
	kindSpent
)

// message is what engines send each other; the package's documentation has which
// fields a kind uses.
type message struct {
	kind      kind
	request   uint64
	n         uint64
	algorithm string
	text      string
}

// refusals are the errors that go over a link, by number.
var refusals = []error{pool.ErrNoReplica, pool.ErrQueueFull, pool.ErrClosed, pool.ErrMoved}

const (
	maxMessage = 8 << 20 // sealed
	maxClaim   = 1 << 16 // slots
)

// The flags of an acquire.
const (
	flagRetry   = 1 << iota // the call comes back from a replica that refused it
	flagDurable             // nobody waits for its answer
)

func acquireFlags(w *pool.Waiter) (flags uint64) {
	if w.Retry {
		flags |= flagRetry
	}
	if w.Class == pool.ClassDurable {
		flags |= flagDurable
	}
	return flags
}

// classOf returns the class that a message names. One that this release does not
// know has a caller who waits.
func classOf(n uint64) pool.Class {
	if n == uint64(pool.ClassDurable) {
		return pool.ClassDurable
	}
	return pool.ClassSync
}

var errGarbled = errors.New("a message that cannot be read")

// append appends the message, in clear.
func (m *message) append(b []byte) []byte {
	b = append(b, byte(m.kind))
	b = binary.AppendUvarint(b, m.request)
	b = binary.AppendUvarint(b, m.n)
	b = binary.AppendUvarint(b, uint64(len(m.algorithm)))
	b = append(b, m.algorithm...)
	return append(b, m.text...)
}

func parseMessage(b []byte) (message, error) {
	if len(b) == 0 {
		return message{}, errGarbled
	}
	m := message{kind: kind(b[0])}
	b = b[1:]
	for _, field := range []*uint64{&m.request, &m.n} {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return message{}, errGarbled
		}
		*field, b = v, b[n:]
	}
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return message{}, errGarbled
	}
	b = b[n:]
	m.algorithm, m.text = string(b[:size]), string(b[size:])
	return m, nil
}
