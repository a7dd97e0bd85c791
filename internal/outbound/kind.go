package outbound

import (
	"net/netip"
	"slices"
)

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

// NotPublic returns what an address is instead of a public host's, "" when it is
// one.
func NotPublic(a netip.Addr) string {
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

// metadata are addresses at which clouds keep their metadata, besides those of
// the local link.
var metadata = []netip.Addr{
	netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("168.63.129.16"),
	netip.MustParseAddr("192.0.0.192"),
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("fd20:ce::254"),
}

// embedded are addresses of IPv6 that lead to one of IPv4, which begins at a
// byte of them: by a gateway (RFC 6052), by a tunnel (RFC 3056), or written so
// (RFC 4291).
var embedded = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::/96"), 12},
}

// Metadata reports whether an address is of the local link, is one at which a
// cloud keeps its metadata, or leads to such a one.
func Metadata(at netip.Addr) bool {
	at = leadsTo(at)
	return at.IsLinkLocalUnicast() || slices.Contains(metadata, at)
}

// local are the ranges of the local link.
var local = []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10")}

// MetadataRanges returns the ranges of addresses for which Metadata holds that a
// range has a part of.
func MetadataRanges(of netip.Prefix) []netip.Prefix {
	all := slices.Clone(local)
	for _, at := range metadata {
		all = append(all, netip.PrefixFrom(at, at.BitLen()))
	}
	for _, p := range all {
		if !p.Addr().Is4() {
			continue
		}
		for _, e := range embedded {
			bytes, four := e.prefix.Addr().As16(), p.Addr().As4()
			copy(bytes[e.at:], four[:])
			all = append(all, netip.PrefixFrom(netip.AddrFrom16(bytes), 8*e.at+p.Bits()))
		}
	}
	return slices.DeleteFunc(all, func(p netip.Prefix) bool { return !of.Overlaps(p) })
}

// NoHost reports whether an address, or the one that it leads to, is
// unspecified or of a group, and so no host's.
func NoHost(at netip.Addr) bool {
	at = leadsTo(at)
	return at.IsUnspecified() || at.IsMulticast()
}

func leadsTo(at netip.Addr) netip.Addr {
	at = at.Unmap().WithZone("")
	for _, e := range embedded {
		if e.prefix.Contains(at) && at != netip.IPv6Unspecified() && !at.IsLoopback() {
			bytes := at.As16()
			return netip.AddrFrom4([4]byte(bytes[e.at : e.at+4]))
		}
	}
	return at
}
