package queue

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// Kind parts the work: a kind's messages of one algorithm are a line.
type Kind string

// The kinds of work.
const (
	KindCall     Kind = "call"
	KindBatch    Kind = "batch"
	KindCallback Kind = "callback"
)

// Message is one piece of work.
type Message struct {
	Kind Kind
	// Algorithm is a vanity URL, or "".
	Algorithm string
	// ID is told from others of the kind and algorithm in the last two minutes:
	// a second message of the same ID is not stored.
	ID     string
	Header map[string]string
	Data   []byte
}

const (
	// inline is the most bytes that are stored as one. What is larger is
	// stored in pieces.
	inline = 256 << 10
	// maxStored bounds one stored message with its header.
	maxStored  = 512 << 10
	maxHeader  = 64 << 10
	maxID      = 200
	headerOf   = "Message" // header, as JSON in base64: names and values stay as they are
	algorithm  = "Algorithm"
	piecesOf   = "Pieces"
	subjSmall  = "s"
	subjPieces = "p"
)

// line returns the subjects of a kind and algorithm, without the last token.
func line(k Kind, algorithm string) string {
	return string(k) + "." + lineName(algorithm)
}

// key is what a message is told from others by.
func (m Message) key() string { return line(m.Kind, m.Algorithm) + "." + m.ID }

func lineName(algorithm string) string {
	sum := sha256.Sum256([]byte(algorithm))
	return hex.EncodeToString(sum[:10])
}

func (m Message) check() error {
	switch m.Kind {
	case KindCall, KindBatch, KindCallback:
	default:
		return fmt.Errorf("%w: %q is no kind of work", ErrInvalid, m.Kind)
	}
	if m.ID == "" || len(m.ID) > maxID || strings.ContainsFunc(m.ID, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%w: a message's id is 1 to %d printable characters", ErrInvalid, maxID)
	}
	return nil
}

// encode returns what is stored of a message whose data is stored elsewhere
// when pieces is not nil.
func (m Message) encode(pieces *pieces) (*nats.Msg, error) {
	subject := workSubject + "." + line(m.Kind, m.Algorithm) + "."
	out := &nats.Msg{Header: nats.Header{
		nats.MsgIdHdr:          {m.key()},
		nats.ExpectedStreamHdr: {workStream},
		algorithm:              {base64.RawStdEncoding.EncodeToString([]byte(m.Algorithm))},
	}}
	if len(m.Header) > 0 {
		text, err := json.Marshal(m.Header)
		if err != nil {
			return nil, err
		}
		if len(text) > maxHeader {
			return nil, fmt.Errorf("%w: a message's header has %d bytes, and may have %d", ErrInvalid, len(text), maxHeader)
		}
		out.Header[headerOf] = []string{base64.RawStdEncoding.EncodeToString(text)}
	}
	if pieces == nil {
		out.Subject, out.Data = subject+subjSmall, m.Data
		return out, nil
	}
	out.Subject = subject + subjPieces
	out.Header[piecesOf] = []string{pieces.String()}
	return out, nil
}

// stored is a message as a server has it.
type storedMessage struct {
	Message
	pieces *pieces
}

// decode reads what encode made. Data in pieces is not read yet.
func decode(subject string, header nats.Header, data []byte) (storedMessage, error) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 || parts[0] != workSubject {
		return storedMessage{}, fmt.Errorf("%w: %q is no message's subject", ErrInvalid, subject)
	}
	m := storedMessage{Message: Message{Kind: Kind(parts[1]), ID: strings.TrimPrefix(header.Get(nats.MsgIdHdr), parts[1]+"."+parts[2]+"."), Data: data}}
	name, err := base64.RawStdEncoding.DecodeString(header.Get(algorithm))
	if err != nil {
		return storedMessage{}, fmt.Errorf("read a message's algorithm: %w", err)
	}
	m.Algorithm = string(name)
	if text := header.Get(headerOf); text != "" {
		raw, err := base64.RawStdEncoding.DecodeString(text)
		if err == nil {
			err = json.Unmarshal(raw, &m.Header)
		}
		if err != nil {
			return storedMessage{}, fmt.Errorf("read a message's header: %w", err)
		}
	}
	if text := header.Get(piecesOf); text != "" {
		if m.pieces, err = parsePieces(text); err != nil {
			return storedMessage{}, err
		}
	}
	return m, nil
}
