package retry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// TransientStatus reports whether an HTTP answer of this status may be another
// one later: a server that has too much to do, that fails, or that a proxy does
// not reach.
func TransientStatus(code int) bool {
	return code == http.StatusTooManyRequests || code >= 500 && code != http.StatusNotImplemented
}

// PermanentConnection reports whether a connection failed for a reason that
// stays: a certificate that does not hold, or a name that nobody knows. All
// other errors of a connection are transient.
func PermanentConnection(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		host        x509.HostnameError
		invalid     x509.CertificateInvalidError
		name        *net.DNSError
	)
	return errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) ||
		errors.As(err, &name) && name.IsNotFound
}

// HeaderDelay returns how long an answer asks to wait, at most limit: its
// Retry-After is a number of seconds, or a date by the server's own clock, which
// its Date shows, so that ours may be wrong. It is 0 when the answer does not
// say.
func HeaderDelay(header http.Header, limit time.Duration) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return min(max(time.Duration(min(seconds, maxSeconds))*time.Second, 0), limit)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), limit)
}

// maxSeconds keeps a number of seconds within a time.Duration.
const maxSeconds = 1 << 31
