package constellation

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
)

// AuditLink is a place in the audit log's chain. Its hash holds for every row up to
// it: none can be changed, taken away or put in between without another hash.
type AuditLink struct {
	Seq  int64 // from 1; 0 is before the first row
	Hash []byte
}

// String writes SEQ:HASH.
func (l AuditLink) String() string {
	return strconv.FormatInt(l.Seq, 10) + ":" + hex.EncodeToString(l.Hash)
}

// ParseAuditLink reads what String writes.
func ParseAuditLink(text string) (AuditLink, error) {
	seq, hash, _ := strings.Cut(text, ":")
	n, err := strconv.ParseInt(seq, 10, 64)
	sum, errHash := hex.DecodeString(hash)
	if err != nil || errHash != nil || n < 1 || len(sum) != sha256.Size {
		return AuditLink{}, Errorf(KindMalformed, "a link of the audit log is NUMBER:HASH, as 'audit verify' prints it; not %.100q", text)
	}
	return AuditLink{Seq: n, Hash: sum}, nil
}

// AuditRecord is a row of the audit log with its link.
type AuditRecord struct {
	Seq  int64
	Hash []byte
	Event
}

// Link returns the record's link.
func (r *AuditRecord) Link() AuditLink { return AuditLink{Seq: r.Seq, Hash: r.Hash} }

// Next returns the link of the row that follows.
func (l AuditLink) Next(e *Event) AuditLink {
	h := sha256.New()
	write := func(parts ...[]byte) {
		for _, part := range parts {
			_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			_, _ = h.Write(part)
		}
	}
	number := func(n int64) []byte { return strconv.AppendInt(nil, n, 10) }
	write([]byte("constellation audit 1"), l.Hash, number(l.Seq+1), number(e.ID), number(e.At.UnixMicro()), []byte(e.Actor), []byte(e.ActorKeyID),
		[]byte(e.Action), []byte(e.TargetKind), []byte(e.TargetID), []byte(e.TargetName), e.Before, e.After, []byte(e.Address))
	return AuditLink{Seq: l.Seq + 1, Hash: h.Sum(nil)}
}
