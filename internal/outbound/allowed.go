package outbound

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Allowed are addresses that may be connected to besides public ones: by prefix, or
// those of a host by its name. The zero value is none.
type Allowed struct {
	hosts    map[string]bool
	prefixes []netip.Prefix
}

var namePattern = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$`)

// ParseAllowed reads host names, addresses and prefixes; the error is for the user.
func ParseAllowed(entries []string) (Allowed, error) {
	a := Allowed{hosts: map[string]bool{}}
	for _, entry := range entries {
		text := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(entry)), ".")
		if at, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil && at.Zone() == "" {
			at = at.Unmap()
			a.prefixes = append(a.prefixes, netip.PrefixFrom(at, at.BitLen()))
			continue
		}
		if prefix, err := netip.ParsePrefix(text); err == nil {
			a.prefixes = append(a.prefixes, prefix.Masked())
			continue
		}
		if !namePattern.MatchString(text) {
			return Allowed{}, fmt.Errorf("%q is no host name, address or prefix such as 10.0.0.0/8; leave out scheme and port", entry)
		}
		a.hosts[text] = true
	}
	return a, nil
}

// NotAllowedError is why an address is not connected to.
type NotAllowedError struct{ Host, Address, Why string }

// Error is part of error.
func (e NotAllowedError) Error() string {
	return fmt.Sprintf("%s is at %s, which is %s", e.Host, e.Address, e.Why)
}

// Check is a Dialer's: it lets public addresses pass, and those that are allowed.
// Where clouds keep their metadata is reached by no name: only an address or prefix
// of the local link itself allows that.
func (a Allowed) Check(host string, at netip.Addr) error {
	for _, p := range a.prefixes {
		if p.Contains(at) && (!Metadata(at) || within(p)) {
			return nil
		}
	}
	if a.hosts[strings.TrimSuffix(strings.ToLower(host), ".")] && !Metadata(at) && !NoHost(at) {
		return nil
	}
	if why := NotPublic(at); why != "" {
		return NotAllowedError{host, at.String(), why}
	}
	if Metadata(at) {
		return NotAllowedError{host, at.String(), "where clouds keep their metadata"}
	}
	return nil
}

// within reports whether a prefix is of addresses alone that Metadata holds for, so
// that whoever gave it meant those.
func within(p netip.Prefix) bool {
	for _, m := range MetadataRanges(p) {
		if m.Bits() <= p.Bits() && m.Contains(p.Addr()) {
			return true
		}
	}
	return false
}
