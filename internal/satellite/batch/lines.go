package batch

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"

	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
)

const (
	// MaxLine is how long a line may be.
	MaxLine = 10 << 20
	// MaxCustomID is how long a custom_id may be.
	MaxCustomID = 512
)

// line is one line of a batch.
type line struct {
	N        int64  // counted from 1, with blank lines
	CustomID []byte // as raw JSON; nil when the line has none
	Input    []byte
	Bad      string // why the line is none, "" when it is
}

// lineReader reads lines of any length, and keeps no more of one than MaxLine.
type lineReader struct {
	r     *bufio.Reader
	buf   []byte
	sum   hash.Hash // of the lines that were read
	seen  *recentIDs
	n     int64
	bytes int64
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10), sum: sha256.New(), seen: newRecentIDs()}
}

// next returns the next line, valid until it is called again. A line that is too
// long comes cut, and long is true. The error is io.EOF after the last line; a
// line that broke off is none.
func (l *lineReader) next() (raw []byte, long bool, err error) {
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		_, _ = l.sum.Write(part)
		l.bytes += int64(len(part))
		if room := MaxLine + 2 - len(l.buf); len(part) > room { // with CR and LF
			part, long = part[:room], true
		}
		l.buf = append(l.buf, part...)
		switch {
		case err == nil:
			l.n++
			return l.buf, long, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(l.buf) > 0:
			_, _ = l.sum.Write([]byte{'\n'}) // so that the last line is the same with and without
			l.n++
			return l.buf, long, nil
		default:
			return nil, false, err
		}
	}
}

// shrink gives the memory of a very long line back.
func (l *lineReader) shrink() {
	if cap(l.buf) > 1<<20 {
		l.buf = nil
	}
}

// isBlank reports whether a line is nothing but space.
func isBlank(raw []byte) bool { return len(jsonscan.TrimSpace(raw)) == 0 }

// parse returns what a line asks for. Its bytes are raw's.
func (l *lineReader) parse(raw []byte, long bool) line {
	got := line{N: l.n, Input: jsonscan.TrimSpace(raw)}
	switch {
	case long || len(got.Input) > MaxLine:
		got.Bad, got.Input = "the line is longer than 10 MiB", nil
		return got
	case !jsonscan.Valid(got.Input):
		got.Bad, got.Input = "the line is not JSON", nil
		return got
	}
	id, body, ok := envelope(got.Input)
	if !ok {
		return got
	}
	switch {
	case !jsonscan.IsString(id) || len(id) > MaxCustomID:
		got.Bad = fmt.Sprintf("custom_id is not a string of at most %d bytes", MaxCustomID-2)
	case l.seen.repeated(id):
		got.CustomID, got.Bad = id, "an earlier line has this custom_id already"
	default:
		got.CustomID = id
	}
	got.Input = body
	if got.Bad != "" {
		got.Input = nil
	}
	return got
}

// envelope takes {"custom_id":…,"body":…} apart, with exactly these keys. Any
// other line is an input itself.
func envelope(input []byte) (id, body []byte, ok bool) {
	if input[0] != '{' || !bytes.Contains(input, []byte(`"custom_id"`)) {
		return nil, nil, false
	}
	fields := 0
	jsonscan.EachField(input, func(key, value []byte) {
		fields++
		switch string(key) {
		case "custom_id":
			id = value
		case "body":
			body = value
		}
	})
	return id, body, fields == 2 && id != nil && body != nil
}

// recentIDs is the set of the latest custom ids. It detects a repeated one, and is
// bounded: a set of all of them would grow with the batch.
type recentIDs struct {
	seed  maphash.Seed
	sums  map[[2]uint64]struct{}
	order [][2]uint64
	at    int
}

// maxRecentIDs is how many custom ids are remembered.
const maxRecentIDs = 1 << 16

func newRecentIDs() *recentIDs {
	return &recentIDs{seed: maphash.MakeSeed(), sums: map[[2]uint64]struct{}{}}
}

// repeated reports whether the id is among those, and remembers it.
// Two sums of 64 bits take no two ids for one.
func (s *recentIDs) repeated(id []byte) bool {
	text := jsonscan.Unquote(id)
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.Write(text)
	sum := [2]uint64{h.Sum64()}
	_ = h.WriteByte(0)
	sum[1] = h.Sum64()
	if _, ok := s.sums[sum]; ok {
		return true
	}
	if len(s.order) < maxRecentIDs {
		s.order = append(s.order, sum)
	} else {
		delete(s.sums, s.order[s.at])
		s.order[s.at] = sum
		s.at = (s.at + 1) % maxRecentIDs
	}
	s.sums[sum] = struct{}{}
	return false
}
