package integrity

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/minio/highwayhash"
)

// A record is: length (4 bytes, its highest bit says that headers follow), number
// (8), time (8), the subject's length (2), subject, perhaps the headers' length (4)
// and headers, the message, and a sum (8) over all but both lengths and the first 4.
const (
	headerSize = 22
	sumSize    = 8
	emptySize  = headerSize + sumSize
	maxRecord  = 32 << 20

	withHeaders = 1 << 31
	erasedBit   = 1 << 63
	removedBit  = 1 << 62 // the record says that the message with this number was removed
)

// sumsOf returns what makes the sums in one block of a stream.
func sumsOf(stream string, block int) (hash.Hash, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, block))
	return highwayhash.New64(key[:])
}

// shape is what the fields of a record say of it, before its sum is looked at.
type shape struct {
	size    int
	subject int // where the subject ends
	message int // where what follows the headers' length begins
}

// shapeOf returns the shape of what is at the beginning of data, if it can be a record.
func shapeOf(data []byte) (s shape, ok bool) {
	if len(data) < emptySize {
		return shape{}, false
	}
	length := binary.LittleEndian.Uint32(data)
	s.size = int(length &^ withHeaders)
	s.subject = headerSize + int(binary.LittleEndian.Uint16(data[20:]))
	s.message = s.subject
	if length&withHeaders != 0 {
		s.message += 4
	}
	return s, s.size >= emptySize && s.size <= min(maxRecord, len(data)) && s.message <= s.size-sumSize
}

// numberOf returns the number of the record at the beginning of data and its size,
// if there is a whole one.
func numberOf(data []byte, sums hash.Hash) (number uint64, size int, ok bool) {
	s, ok := shapeOf(data)
	if !ok {
		return 0, 0, false
	}
	sums.Reset()
	_, _ = sums.Write(data[4:20])
	_, _ = sums.Write(data[headerSize:s.subject])
	_, _ = sums.Write(data[s.message : s.size-sumSize])
	var sum [sumSize]byte
	return binary.LittleEndian.Uint64(data[4:]), s.size, bytes.Equal(sums.Sum(sum[:0]), data[s.size-sumSize:s.size])
}

// hole is a place between two records that cannot be read.
type hole struct {
	from, to      int
	before, after uint64 // the numbers of the messages around it; 0 for none
	tail          bool   // it reaches to the end of its block
	most          uint64 // records that it can have held
	messages      uint64 // those of it that can be lost
}

// scanned is what is read of a block.
type scanned struct {
	first, last uint64 // numbers of messages; 0 for none
	removed     []uint64
	holes       []hole
}

// scan reads a block that follows the message with the number before. What cannot
// be read at the end of the last one is no hole.
func scan(data []byte, sums hash.Hash, before uint64, newest bool) scanned {
	s := scanned{last: before}
	for at := 0; at < len(data); {
		number, size, ok := numberOf(data[at:], sums)
		if !ok {
			h := hole{from: at, before: s.last}
			h.resume(data, sums)
			if !h.tail || !newest {
				s.holes = append(s.holes, h)
			}
			at = h.to
			continue
		}
		at += size
		if number&(removedBit|erasedBit) == removedBit {
			s.removed = append(s.removed, number&^removedBit)
			continue
		}
		number &^= erasedBit
		if s.first == 0 {
			s.first = number
		}
		s.last = max(s.last, number)
	}
	return s
}

// maxSearch bounds what is summed up in search of the next record: noise may look
// like the beginning of one in many places.
const maxSearch = 1 << 30

// resume finds where the next record begins behind a damaged place, and which
// message is the first from there on.
func (h *hole) resume(data []byte, sums hash.Hash) {
	rest := data[h.from:]
	end, left := len(rest), maxSearch
	for at := emptySize; at <= len(rest)-emptySize && left > 0; at++ {
		s, ok := shapeOf(rest[at:])
		if !ok {
			continue
		}
		left -= s.size
		if _, _, ok := numberOf(rest[at:], sums); ok {
			end = at
			break
		}
	}
	h.to, h.tail, h.most = h.from+end, end == len(rest), uint64(end/emptySize) //nolint:gosec // a block has 8 MiB at most
	if len(rest) >= 4 && int(binary.LittleEndian.Uint32(rest)&^withHeaders) == end {
		h.most = 1
	}
	for at := h.to; at < len(data) && h.after == 0; {
		number, size, ok := numberOf(data[at:], sums)
		if !ok {
			break
		}
		if number&(removedBit|erasedBit) == 0 {
			h.after = number
		}
		at += size
	}
}

// count finds out how many messages of the hole were not removed: one at the
// least, where nothing tells which they were.
func (h *hole) count(removed map[uint64]bool) {
	if h.after == 0 {
		h.messages = 1
	}
	for number := h.before + 1; number < h.after; number++ {
		if !removed[number] {
			h.messages++
		}
	}
	h.messages = min(h.messages, h.most)
}

// erased returns the record that fills the hole, as the server makes one of a
// message that it erases.
func (h hole) erased(sums hash.Hash) []byte {
	data := make([]byte, h.to-h.from)
	binary.LittleEndian.PutUint32(data, uint32(len(data))) //nolint:gosec // a block has 8 MiB at most
	if h.after > h.before+1 {
		binary.LittleEndian.PutUint64(data[4:], (h.after-1)|erasedBit)
	}
	sums.Reset()
	_, _ = sums.Write(data[4:20])
	_, _ = sums.Write(data[headerSize : len(data)-sumSize])
	return sums.Sum(data[:len(data)-sumSize])
}
