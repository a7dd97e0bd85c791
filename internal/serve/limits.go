package serve

import (
	"fmt"
	"net/http"

	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

// limitSettings are how often somebody may ask.
type limitSettings struct {
	key, address, wrongKey, signIn, exchange string
}

func (l *limitSettings) addFlags(flags *pflag.FlagSet) {
	setting(flags.StringVar, &l.key, "rate-limit-key", "60000/m", "answer this many requests by an API key, and of a browser that is signed in, over all servers: as many at once, and as many in each second, minute or hour; off for any number. Heartbeats and live pages are not counted")
	setting(flags.StringVar, &l.address, "rate-limit-address", "6000/m", "answer this many requests without a key or a session from an address, of IPv6 from a /64; behind a proxy it needs --trusted-proxy")
	setting(flags.StringVar, &l.wrongKey, "rate-limit-wrong-key", "120/m", "answer this many requests with a wrong API key from an address with 401, and more with 429; right keys from there still work")
	setting(flags.StringVar, &l.signIn, "rate-limit-sign-in", "60/m", "take this many steps of signing in by a provider from an address, of which a sign-in has two, and set-ups and invitations; wrong passwords wait in any case")
	setting(flags.StringVar, &l.exchange, "rate-limit-token-exchange", "60/m", "exchange this many tokens of workloads for keys from an address")
}

// limits returns the limits that the settings say.
func (l *limitSettings) limits() ([]ratelimit.Limit, error) {
	var list []ratelimit.Limit
	for _, s := range []struct {
		flag, text string
		exact      bool
		names      []ratelimit.Name
	}{
		{"rate-limit-key", l.key, false, []ratelimit.Name{ratelimit.Key, ratelimit.Session}},
		{"rate-limit-address", l.address, false, []ratelimit.Name{ratelimit.Address}},
		{"rate-limit-wrong-key", l.wrongKey, true, []ratelimit.Name{ratelimit.WrongKey}},
		{"rate-limit-sign-in", l.signIn, true, []ratelimit.Name{ratelimit.SignIn}},
		{"rate-limit-token-exchange", l.exchange, true, []ratelimit.Name{ratelimit.Exchanges}},
	} {
		for _, name := range s.names {
			limit, err := ratelimit.Parse(name, s.text)
			if err != nil {
				return nil, command.UsageError{Err: fmt.Errorf("--%s: %w", s.flag, err)}
			}
			limit.Exact = s.exact
			list = append(list, limit)
		}
	}
	return list, nil
}

// openLimits makes the limits of requests.
func (m *mothership) openLimits(c *Config) error {
	list, err := c.limits.limits()
	if err != nil {
		return err
	}
	m.limits = ratelimit.New(ratelimit.Config{Limits: list, DB: m.db, Log: m.log, Throttled: m.control.TellThrottled})
	return nil
}

// countAddress counts requests of what anybody may read as those of their addresses.
func (m *mothership) countAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := m.limits.Count(r.Context(), w.Header(), ratelimit.Address, ratelimit.Network(httpserve.Address(r))); err != nil {
			httpserve.WriteError(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}
