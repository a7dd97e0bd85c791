package httpserve

import (
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5/middleware"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// ClientAddress finds out who asks: the peer, or what proxies of the trusted
// prefixes (addresses or CIDR) say in X-Forwarded-For. A peer that says so and
// is not trusted is warned of, once: everybody behind it counts as one.
func ClientAddress(trusted []string, log *slog.Logger) (func(http.Handler) http.Handler, error) {
	prefixes := make([]netip.Prefix, len(trusted))
	texts := make([]string, len(trusted))
	for i, s := range trusted {
		prefix, err := netip.ParsePrefix(s)
		if !strings.Contains(s, "/") {
			var addr netip.Addr
			addr, err = netip.ParseAddr(s)
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if err != nil {
			return nil, badProxy(s)
		}
		prefixes[i], texts[i] = prefix, prefix.String()
	}
	find := middleware.ClientIPFromRemoteAddr
	if len(texts) > 0 {
		find = middleware.ClientIPFromXFF(texts...)
	}
	warner := &forwardWarner{trusted: prefixes, log: log}
	return func(next http.Handler) http.Handler {
		return find(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			warner.look(r)
			next.ServeHTTP(w, r)
		}))
	}, nil
}

func badProxy(s string) error {
	return constellation.Errorf(constellation.KindInvalid,
		"a trusted proxy is an address or a prefix such as 10.0.0.0/8; not %q", s)
}

// maxWarned is how many peers are warned of: anybody can send the header.
const maxWarned = 10

// forwardWarner warns of peers that forward and are not trusted.
type forwardWarner struct {
	trusted []netip.Prefix
	log     *slog.Logger

	mu     sync.Mutex
	warned []netip.Addr
}

func (f *forwardWarner) look(r *http.Request) {
	if r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == "" {
		return
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return
	}
	address := peer.Addr().Unmap()
	if slices.ContainsFunc(f.trusted, func(p netip.Prefix) bool { return p.Contains(address) }) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.warned) >= maxWarned || slices.Contains(f.warned, address) {
		return
	}
	f.warned = append(f.warned, address)
	f.log.WarnContext(r.Context(), "a peer that is not trusted forwards requests: all who come through it count as one address, also for sign-ins that fail; "+
		"if it is your proxy, start with --trusted-proxy and its address", "peer", address.String())
}

// Address returns the client's address as ClientAddress found it, "" when a
// trusted proxy sent nonsense.
func Address(r *http.Request) string { return middleware.GetClientIP(r.Context()) }
