package api

import (
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// IfMatchInput makes a change depend on the state that its maker has seen.
type IfMatchInput struct {
	IfMatch string `header:"If-Match" doc:"The ETag of the state that is to be changed: another editor's change in between answers 412. * or nothing: whatever the state." example:"\"3\""`
}

// etag is the entity tag of a revision.
func etag(revision int64) string { return strconv.Quote(strconv.FormatInt(revision, 10)) }

// revision reads If-Match; nil is any. A tag that we never made is revision
// 0, which nothing has. W/ is let pass, since proxies that compress add it.
func (in IfMatchInput) revision() (*int64, error) {
	header := strings.TrimSpace(in.IfMatch)
	switch {
	case header == "" || header == "*":
		return nil, nil
	case strings.Contains(header, ","):
		return nil, constellation.Errorf(constellation.KindMalformed, "If-Match takes one ETag here, or *")
	}
	tag := strings.Trim(strings.TrimPrefix(header, "W/"), `"`)
	revision, err := strconv.ParseInt(tag, 10, 64)
	if err != nil || revision < 0 {
		revision = 0
	}
	return &revision, nil
}

// matches says whether If-None-Match holds tag (RFC 9110 section 13.1.2).
func matches(ifNoneMatch, tag string) bool {
	for candidate := range strings.SplitSeq(ifNoneMatch, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate == "*" || candidate == tag {
			return true
		}
	}
	return false
}
