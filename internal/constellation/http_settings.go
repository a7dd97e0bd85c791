package constellation

import (
	"math"
	"regexp"
	"strconv"
	"time"
)

// Responses of an algorithm whose protocol is http.
const (
	ResponseWrapped = "wrapped" // the default: in result and metadata, where a call is a plain POST
	ResponseNative  = "native"  // as the container answered
)

// HTTPSettings are the settings that only an algorithm with protocol http has;
// the zero value of a field means its default.
type HTTPSettings struct {
	Response    string `json:"response,omitempty"`     // ResponseWrapped or ResponseNative
	HTTP2       bool   `json:"http2,omitempty"`        // replicas speak HTTP/2 without TLS, as gRPC servers do
	MaxBody     string `json:"max_body,omitempty"`     // of a request that is passed on as it is, a Kubernetes quantity of bytes; "" is no limit
	IdleTimeout string `json:"idle_timeout,omitempty"` // a Go duration with nothing sent either way; "" is the call's time-out
}

// The bounds of an idle time-out.
const (
	minIdleTimeout = time.Second
	maxIdleTimeout = 24 * time.Hour
)

// maxDuration is how many characters a duration may have.
const maxDuration = 20

// Check adds to v which of the settings break a rule in a runtime with the
// protocol.
func (s HTTPSettings) Check(v *Validation, field string, protocol Protocol) {
	if s == (HTTPSettings{}) {
		return
	}
	if protocol != ProtocolHTTP {
		v.Add(field+".protocol", "response, http2, max-body and idle-timeout are for protocol http; the protocol is %q", shorten(string(protocol)))
	}
	if s.Response != "" && s.Response != ResponseWrapped && s.Response != ResponseNative {
		v.Add(field+".response", "response is wrapped or native; not %q", shorten(s.Response))
	}
	if s.MaxBody != "" && s.MaxBodyBytes() == 0 {
		v.Add(field+".max_body", "max-body is a whole number of bytes with a unit or none, such as 100Mi or 2Gi; not %q", shorten(s.MaxBody))
	}
	if d, err := time.ParseDuration(s.IdleTimeout); s.IdleTimeout != "" && (err != nil || len(s.IdleTimeout) > maxDuration || d < minIdleTimeout || d > maxIdleTimeout) {
		v.Add(field+".idle_timeout", "idle-timeout is from 1s to 24h, written such as 90s or 10m; not %q", shorten(s.IdleTimeout))
	}
}

var (
	bytesPattern = regexp.MustCompile(`^([1-9][0-9]{0,18})(k|M|G|T|Ki|Mi|Gi|Ti)?$`)
	byteUnits    = map[string]int64{
		"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
		"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
	}
)

// MaxBodyBytes returns MaxBody in bytes, 0 when there is no limit or none that
// can be read.
func (s HTTPSettings) MaxBodyBytes() int64 {
	m := bytesPattern.FindStringSubmatch(s.MaxBody)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	unit := byteUnits[m[2]]
	if err != nil || n > math.MaxInt64/unit {
		return 0
	}
	return n * unit
}

// Idle returns IdleTimeout, or otherwise where there is none.
func (s HTTPSettings) Idle(otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(s.IdleTimeout); err == nil && d > 0 {
		return d
	}
	return otherwise
}
