package batch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

const (
	maxChunkLines = 64
	maxChunkBytes = 128 << 10
)

// chunk is some lines of a batch, as they are stored: a head of JSON on a line of
// its own, and the inputs one after the other.
type chunk struct {
	Batch     string `json:"batch_id"`
	VanityURL string `json:"vanity_url"`
	KeyID     string `json:"key_id"`
	Query     string `json:"query,omitempty"`
	N         int    `json:"n"`
	Attempt   int    `json:"attempt"`
	After     stored `json:"after"` // what is stored with it
	FileBytes int64  `json:"bytes"` // that it has of the file
	Lines     []item `json:"lines"`

	size int64 // of the inputs
}

// item is a line of a chunk.
type item struct {
	N        int64           `json:"n"`
	CustomID json.RawMessage `json:"id,omitempty"`
	Size     int             `json:"size,omitempty"`
	Bad      string          `json:"bad,omitempty"`

	input []byte
}

// add takes a line over, copied.
func (c *chunk) add(l line) {
	c.Lines = append(c.Lines, item{N: l.N, CustomID: bytes.Clone(l.CustomID), Size: len(l.Input), Bad: l.Bad, input: bytes.Clone(l.Input)})
	c.size += int64(len(l.Input))
}

// hasRoom reports whether a line of n bytes belongs into the chunk too.
func (c *chunk) hasRoom(n int) bool {
	return len(c.Lines) == 0 || len(c.Lines) < maxChunkLines && c.size+int64(n) <= maxChunkBytes
}

func (c *chunk) encode() ([]byte, error) {
	head, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(head)+1+int(c.size))
	out = append(append(out, head...), '\n')
	for _, i := range c.Lines {
		out = append(out, i.input...)
	}
	return out, nil
}

// decodeChunk returns the chunk of a message. Its inputs are data's.
func decodeChunk(data []byte) (*chunk, error) {
	head, rest, ok := bytes.Cut(data, []byte{'\n'})
	c := new(chunk)
	if !ok {
		return nil, errors.New("a chunk without a head")
	}
	if err := json.Unmarshal(head, c); err != nil {
		return nil, fmt.Errorf("a chunk's head: %w", err)
	}
	for i := range c.Lines {
		l := &c.Lines[i]
		if l.Size < 0 || l.Size > len(rest) {
			return nil, errors.New("a chunk is cut")
		}
		l.input, rest = rest[:l.Size], rest[l.Size:]
		c.size += int64(l.Size)
	}
	return c, nil
}

// chunkKey is where the results of a chunk are.
func chunkKey(batch string, n, attempt int) string {
	return batch + "." + strconv.Itoa(n) + "." + strconv.Itoa(attempt)
}

// results are what is known of a chunk's lines: a head of JSON on a line of its
// own, and the lines of output one after the other. A line of output that is
// large is a record beside it.
type results struct {
	Complete bool     `json:"complete"`
	Whole    int      `json:"whole"` // lines from the chunk's first on without a gap
	Lines    []result `json:"lines"` // those that have ended, in order

	out []byte
}

type result struct {
	N        int64 `json:"n"`
	Size     int   `json:"size,omitempty"`
	Failed   bool  `json:"failed,omitempty"`
	Separate bool  `json:"apart,omitempty"` // it is a record of its own
}

func (r *results) encode() ([]byte, error) {
	head, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return append(append(head, '\n'), r.out...), nil
}

func decodeResults(data []byte) (*results, error) {
	head, out, ok := bytes.Cut(data, []byte{'\n'})
	r := new(results)
	if !ok {
		return nil, errors.New("results without a head")
	}
	if err := json.Unmarshal(head, r); err != nil {
		return nil, fmt.Errorf("the head of results: %w", err)
	}
	size := 0
	for _, l := range r.Lines {
		size += l.Size
	}
	if size != len(out) {
		return nil, errors.New("results are cut")
	}
	r.out = out
	return r, nil
}

// each calls f with each line that has ended, and its output unless it is apart.
func (r *results) each(f func(l result, output []byte) error) error {
	at := 0
	for _, l := range r.Lines {
		if err := f(l, r.out[at:at+l.Size]); err != nil {
			return err
		}
		at += l.Size
	}
	return nil
}

func largeOutputKey(batch string, n, attempt int, line int64) string {
	return chunkKey(batch, n, attempt) + "." + strconv.FormatInt(line, 10)
}
