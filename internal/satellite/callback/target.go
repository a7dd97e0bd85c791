package callback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Resolver returns the addresses of a host name.
type Resolver func(ctx context.Context, host string) ([]netip.Addr, error)

// resolve is the system's Resolver.
func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// refusedError is why an address is not connected to. Trying again is of use
// only once the operator allows it, or the name has another address.
type refusedError struct{ host, address, why string }

func (e refusedError) Error() string {
	return fmt.Sprintf("%s is at %s, which is %s: results are posted to public addresses, and to what stage.callbacks.allow names", e.host, e.address, e.why)
}

// special are address ranges that are no public host's, besides those that netip
// has a name for.
var special = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a carrier's shared address"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved for protocols"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a relay's"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	{netip.MustParsePrefix("::/96"), "an IPv4 address in another form"},
	{netip.MustParsePrefix("64:ff9b::/96"), "an IPv4 address in another form"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "an IPv4 address in another form"},
	{netip.MustParsePrefix("100::/64"), "a black hole"},
	{netip.MustParsePrefix("2001::/23"), "reserved for protocols"},
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("2002::/16"), "an IPv4 address in another form"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
	{netip.MustParsePrefix("5f00::/16"), "for segment routing"},
	{netip.MustParsePrefix("fec0::/10"), "of a site"},
}

// notPublic returns what an address is instead of a public host's, "" when it is
// one.
func notPublic(a netip.Addr) string {
	switch {
	case !a.IsValid() || a.Zone() != "":
		return "no address of a host"
	case a.IsUnspecified():
		return "unspecified"
	case a.IsLoopback():
		return "this machine's own"
	case a.IsLinkLocalUnicast():
		return "of the local link, where clouds keep their metadata"
	case a.IsMulticast():
		return "of a group"
	case a.IsPrivate():
		return "private"
	}
	for _, s := range special {
		if s.prefix.Contains(a) {
			return s.what
		}
	}
	return ""
}

// allowed is what the operator allows beyond public addresses.
type allowed struct {
	hosts    map[string]bool
	prefixes []netip.Prefix
}

// newAllowed reads entries that config validated.
func newAllowed(entries []string) allowed {
	a := allowed{hosts: map[string]bool{}}
	for _, entry := range entries {
		target, err := config.CallbackTarget(entry)
		if err != nil {
			continue
		}
		if prefix, err := netip.ParsePrefix(target); err == nil {
			a.prefixes = append(a.prefixes, prefix)
		} else {
			a.hosts[target] = true
		}
	}
	return a
}

func (a allowed) address(at netip.Addr) bool {
	for _, p := range a.prefixes {
		if p.Contains(at) {
			return true
		}
	}
	return false
}

const dialTimeout = 5 * time.Second

// dialer connects to the addresses that may be connected to.
type dialer struct {
	resolve Resolver
	allow   func() []string
}

// DialContext resolves the host, checks each of its addresses, and connects to
// the first that answers, by its address and not by its name. One address that is
// refused refuses the name: an honest receiver has no such.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addresses, err := d.check(ctx, host)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, at := range addresses {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(at.String(), port))
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// check returns the addresses of a host that may be connected to.
func (d *dialer) check(ctx context.Context, host string) ([]netip.Addr, error) {
	var addresses []netip.Addr
	literal, err := netip.ParseAddr(host)
	if err == nil {
		addresses = []netip.Addr{literal}
	} else if addresses, err = d.resolve(ctx, host); err != nil {
		return nil, fmt.Errorf("look %s up: %w", host, err)
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("look %s up: it has no address", host)
	}
	allow := newAllowed(d.allow())
	named := allow.hosts[strings.TrimSuffix(strings.ToLower(host), ".")]
	for i, at := range addresses {
		at = at.Unmap() // ::ffff:10.0.0.1 is 10.0.0.1
		addresses[i] = at
		if named || allow.address(at) {
			continue
		}
		if why := notPublic(at); why != "" {
			return nil, refusedError{host, at.String(), why}
		}
	}
	return addresses, nil
}
