package ratelimit

import (
	"net/http"
	"strconv"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// The fields of the IETF's draft "RateLimit header fields for HTTP".
const (
	Header       = "RateLimit"
	PolicyHeader = "RateLimit-Policy"
)

// Decision is what became of a request. The zero value is of no limit, and admits.
type Decision struct {
	limit   *rule // nil is none
	subject string
	refused bool
	left    int           // requests that may follow at once
	full    time.Duration // until the whole quota is there
	wait    time.Duration // of a refused request, until one is admitted
}

// Err returns nil for a request that is admitted, else KindRateLimited with how long to
// wait.
func (d Decision) Err() error {
	if !d.refused {
		return nil
	}
	err := constellation.Errorf(constellation.KindRateLimited, "%s", d.limit.sentence(d.subject, seconds(d.wait)))
	err.RetryAfter = d.wait
	return err
}

// Policy returns the limit as [PolicyHeader] has it, before those in more.
func (d Decision) Policy(more string) string {
	if d.limit == nil {
		return more
	}
	return joined(d.limit.policy, more)
}

// Left returns what is left of the limit as [Header] has it, before what is in more.
func (d Decision) Left(more string) string {
	if d.limit == nil {
		return more
	}
	b := append(make([]byte, 0, 48), d.limit.item...)
	b = strconv.AppendInt(append(b, ";r="...), int64(d.left), 10)
	return joined(string(strconv.AppendInt(append(b, ";t="...), int64(seconds(d.full)), 10)), more)
}

func joined(item, more string) string {
	if more == "" {
		return item
	}
	return item + ", " + more
}

// Tell puts the limit into an answer's header.
func (d Decision) Tell(h http.Header) {
	if d.limit != nil {
		h.Set(PolicyHeader, d.limit.policy)
		h.Set(Header, d.Left(""))
	}
}

// seconds rounds up: who waits for so long is admitted.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
