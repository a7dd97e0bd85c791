package queue

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"
)

// pieces says where data is that is too large to be stored as one.
type pieces struct {
	Stream string `json:"stream"`
	ID     string `json:"id"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

// MaxData bounds what one message or record holds.
const MaxData = 64 << 20

// piecesAtOnce are on their way at a time: enough to fill a link, and little memory.
const piecesAtOnce = 4

func (p *pieces) String() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and a number
	}
	return string(text)
}

func parsePieces(text string) (*pieces, error) {
	var p pieces
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, fmt.Errorf("read where a message's pieces are: %w", err)
	}
	if (p.Stream != pieceStream && p.Stream != blobStream) || p.ID == "" || p.Size < 0 || p.Size > MaxData {
		return nil, fmt.Errorf("%w: a message's pieces are nowhere", ErrInvalid)
	}
	return &p, nil
}

func (p *pieces) count() int { return (p.Size + inline - 1) / inline }

func (p *pieces) subject(i int) string {
	return p.Stream + "." + p.ID + "." + strconv.Itoa(i)
}

// putPieces stores data in pieces. As long as nothing refers to them, nothing
// is stored for whoever reads: all its errors but ErrFull are ErrUnavailable.
func (q *Queue) putPieces(ctx context.Context, stream string, data []byte) (*pieces, error) {
	if len(data) > MaxData {
		return nil, fmt.Errorf("%w: %d bytes, and the queue takes %d at most", ErrInvalid, len(data), MaxData)
	}
	sum := sha256.Sum256(data)
	p := &pieces{Stream: stream, ID: rand.Text(), Size: len(data), SHA256: hex.EncodeToString(sum[:])}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(piecesAtOnce)
	for i := range p.count() {
		group.Go(func() error {
			_, err := q.store(groupCtx, &nats.Msg{
				Subject: p.subject(i),
				Header:  nats.Header{nats.ExpectedStreamHdr: {stream}},
				Data:    data[i*inline : min((i+1)*inline, len(data))],
			})
			return err
		})
	}
	err := group.Wait()
	if err == nil {
		return p, nil
	}
	q.dropPieces(p)
	if errors.Is(err, ErrUnknown) {
		err = fmt.Errorf("%w: a piece was not stored in time", ErrUnavailable)
	}
	return nil, err
}

// getPieces returns the data, checked against its sum.
func (q *Queue) getPieces(ctx context.Context, p *pieces) ([]byte, error) {
	data := make([]byte, p.Size)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(piecesAtOnce)
	for i := range p.count() {
		group.Go(func() error {
			m, err := q.lastOf(groupCtx, p.Stream, p.subject(i))
			if err != nil {
				return err
			}
			part := data[i*inline : min((i+1)*inline, len(data))]
			if len(m.data) != len(part) {
				return fmt.Errorf("%w: piece %d of a message has another size", ErrInvalid, i)
			}
			copy(part, m.data)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("read a message's pieces: %w", err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != p.SHA256 {
		return nil, fmt.Errorf("%w: a message's pieces are not what was stored", ErrInvalid)
	}
	return data, nil
}

// dropPieces takes pieces out that nothing refers to any more. When that does
// not come off, the sweep does it later.
func (q *Queue) dropPieces(p *pieces) {
	ctx, cancel := context.WithTimeout(context.Background(), q.opts.AskTimeout)
	defer cancel()
	if err := q.purge(ctx, p.Stream, p.Stream+"."+p.ID+".*"); err != nil {
		q.opts.Log.Debug("pieces are left to the sweep", "error", err)
	}
}

// purge takes all messages of a subject out of a stream.
func (q *Queue) purge(ctx context.Context, stream, subject string) error {
	return q.ask(ctx, "$JS.API.STREAM.PURGE."+stream, struct {
		Filter string `json:"filter"`
	}{subject}, nil)
}

// rawMessage is what a server stores.
type rawMessage struct {
	subject string
	seq     uint64
	header  nats.Header
	data    []byte
	at      time.Time
}

// getRequest asks for one message.
type getRequest struct {
	Seq     uint64 `json:"seq,omitempty"`
	LastFor string `json:"last_by_subj,omitempty"`
	NextFor string `json:"next_by_subj,omitempty"`
}

// get reads one message where the stream is led, so that it is never an old one.
func (q *Queue) get(ctx context.Context, stream string, r getRequest) (rawMessage, error) {
	var answer struct {
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := q.ask(ctx, "$JS.API.STREAM.MSG.GET."+stream, r, &answer); err != nil {
		return rawMessage{}, err
	}
	m := answer.Message
	raw := rawMessage{subject: m.Subject, seq: m.Seq, data: m.Data, at: m.Time}
	if len(m.Header) > 0 {
		header, err := nats.DecodeHeadersMsg(m.Header)
		if err != nil {
			return rawMessage{}, fmt.Errorf("read a stored message's header: %w", err)
		}
		raw.header = header
	}
	return raw, nil
}

func (q *Queue) lastOf(ctx context.Context, stream, subject string) (rawMessage, error) {
	return q.get(ctx, stream, getRequest{LastFor: subject})
}
