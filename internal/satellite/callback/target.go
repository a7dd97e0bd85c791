package callback

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// refusedError is why an address is not connected to. Trying again is of use
// only once the operator allows it, or the name has another address.
type refusedError struct{ host, address, why string }

func (e refusedError) Error() string {
	return fmt.Sprintf("%s is at %s, which is %s: results are posted to public addresses, and to what stage.callbacks.allow names", e.host, e.address, e.why)
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

// dialer returns what connects to the addresses that may be connected to.
func dialer(resolve outbound.Resolver, allow func() []string) *outbound.Dialer {
	return &outbound.Dialer{Resolve: resolve, Check: func(host string, at netip.Addr) error {
		allow := newAllowed(allow())
		if allow.address(at) {
			return nil
		}
		// Whoever allows a name means a host of his, whatever its zone says later.
		if allow.hosts[strings.TrimSuffix(strings.ToLower(host), ".")] && !outbound.Metadata(at) {
			return nil
		}
		if why := outbound.NotPublic(at); why != "" {
			return refusedError{host, at.String(), why}
		}
		return nil
	}}
}
