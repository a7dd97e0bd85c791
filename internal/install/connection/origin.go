package connection

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// mostRedirects is where a chain of redirects is taken for a loop, as in
// net/http.
const mostRedirects = 10

// downgrade is an address of plain HTTP that a server named which was itself
// reached by TLS.
type downgrade struct {
	from, to *url.URL
}

// Error names both addresses, without what a query may hold.
func (d *downgrade) Error() string {
	return fmt.Sprintf("%s names %s, which is not encrypted", OriginOf(d.from), OriginOf(d.to))
}

// CheckDowngrade refuses plain HTTP after TLS.
func CheckDowngrade(from, to *url.URL) error {
	if from.Scheme == "https" && to.Scheme != "https" {
		return &downgrade{from, to}
	}
	return nil
}

// OriginOf returns an address's scheme, host and port, which are what a
// credential is bound to. The scheme's own port is not written.
func OriginOf(u *url.URL) string {
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + host
	}
	return scheme + "://" + host + ":" + port
}

// SameOrigin reports whether a credential for one address may go to the other.
func SameOrigin(a, b *url.URL) bool { return OriginOf(a) == OriginOf(b) }

// FollowContent is the redirect policy for content, which a server may keep
// elsewhere: only reads are sent on, never from TLS to plain HTTP, and once a
// chain has left the first address's origin no credential goes with it.
// net/http itself would keep the credential for another scheme or port of the
// same host.
func FollowContent(request *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet && first.Method != http.MethodHead {
		return http.ErrUseLastResponse
	}
	if err := CheckDowngrade(first.URL, request.URL); err != nil {
		return err
	}
	if len(via) >= mostRedirects {
		return fmt.Errorf("stopped after %d redirects", mostRedirects)
	}
	for _, hop := range append(via[1:len(via):len(via)], request) {
		if !SameOrigin(first.URL, hop.URL) {
			request.Header.Del("Authorization") // net/http copies it from the first request at every hop
			break
		}
	}
	return nil
}

// FollowNothing is the redirect policy for calls of an API: whoever answers
// one is its server, and no one else gets the key.
func FollowNothing(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// IsRedirect reports whether an answer sends its request on.
func IsRedirect(response *http.Response) bool {
	return response.StatusCode >= 300 && response.StatusCode < 400 && response.Header.Get("Location") != ""
}

// SentOn returns where a redirect leads, as far as it may be shown.
func SentOn(response *http.Response) string {
	to, err := response.Location()
	if err != nil {
		return "no address"
	}
	return OriginOf(to) + to.EscapedPath()
}

// IsDowngrade reports whether a request failed because it was sent on to plain
// HTTP.
func IsDowngrade(err error) bool { return errors.As(err, new(*downgrade)) }

// IsLoopback reports whether a host is this machine itself.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
