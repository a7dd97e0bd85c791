package api

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// IfMatchInput makes a change depend on the state that its maker has seen.
type IfMatchInput struct {
	IfMatch string `header:"If-Match" doc:"The ETag of the state that is to be changed: another editor's change in between answers 412. Several may be given, with commas between; a weak one (W/) matches nothing. * or nothing: whatever the state." example:"\"3\""`
}

// etag is the entity tag of a revision.
func etag(revision int64) string { return strconv.Quote(strconv.FormatInt(revision, 10)) }

// entityTag is an entity tag at the start of a text (RFC 9110 section 8.8.3).
var entityTag = regexp.MustCompile(`^(W/)?"([\x21\x23-\x7E\x80-\xFF]*)"[ \t]*(,[ \t]*|$)`)

// revision reads If-Match (RFC 9110 section 13.1.1); nil is any. A tag that we
// never made is revision 0, which nothing has. Of several tags the newest
// counts: none was given out before its state was there, so the state of now
// is the newest of them or none.
func (in IfMatchInput) revision() (*int64, error) {
	header := strings.TrimSpace(in.IfMatch)
	if header == "" || header == "*" {
		return nil, nil
	}
	var newest int64
	for rest := header; rest != ""; {
		m := entityTag.FindStringSubmatch(rest)
		if m == nil || strings.HasSuffix(rest, ",") {
			return nil, constellation.Errorf(constellation.KindMalformed, `If-Match is *, or ETags in quotes with commas between them, such as "3"; not %s`, shorten(header))
		}
		if m[1] != "" { // as a proxy that compresses makes it, and as never matches
			return nil, constellation.Errorf(constellation.KindPreconditionFailed, `If-Match compares ETags to the byte, so a weak one such as %s matches nothing: send it without W/`, shorten(header))
		}
		number, _, _ := strings.Cut(m[2], ".") // what follows is of contentTag
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && strconv.FormatInt(n, 10) == number {
			newest = max(newest, n)
		}
		rest = rest[len(m[0]):]
	}
	return &newest, nil
}

// matches reports whether If-None-Match holds tag (RFC 9110 section 13.1.2).
func matches(ifNoneMatch, tag string) bool {
	for candidate := range strings.SplitSeq(ifNoneMatch, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == "*" || candidate == tag {
			return true
		}
	}
	return false
}
