package mothership

import (
	"net/url"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// ParseAddress reads a mothership's address: host[:port] or a URL. https is
// meant unless http is written; a bare name of this machine means http, which
// note then says.
func ParseAddress(address string) (base *url.URL, note string, err error) {
	address = strings.TrimRight(strings.TrimSpace(address), "/")
	full := address
	if !strings.Contains(address, "://") {
		full = "https://" + address
	}
	u, err := url.Parse(full)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, "", fault.Errorf(fault.CodeUsage, "the mothership's address is host[:port] or a URL such as https://mothership.example.com; not %q", address)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, "", fault.Errorf(fault.CodeUsage, "the mothership's address starts with https:// or http://; not %q", address)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, "", fault.Errorf(fault.CodeUsage, "the mothership's address has no user, query or fragment; give the key as the last argument or in ALGO_ADMIN_API_KEY")
	}
	if full != address && connection.IsLoopback(u.Hostname()) {
		u.Scheme = "http"
		note = "using http://" + u.Host + ", since that is this machine; write https:// for TLS"
	}
	return u, note, nil
}
