package ratelimit

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Name is what a limit is of.
type Name string

// The limits of a mothership.
const (
	Key       Name = "key-requests"     // of an API key
	Session   Name = "session-requests" // of a browser that is signed in
	Address   Name = "address-requests" // of an address, without a key or a session
	WrongKey  Name = "wrong-keys"       // of an address, with a key that is none
	SignIn    Name = "sign-ins"         // of an address: steps of signing in by a provider, set-ups and invitations
	Exchanges Name = "token-exchanges"  // of an address
)

// Limit is how many requests somebody may make at once, and in each Window.
type Limit struct {
	Name   Name
	Quota  int
	Window time.Duration
	// Exact makes each request ask the database: for what is rare, and where a few
	// more than the quota matter.
	Exact bool
}

// Off is a setting of no limit.
const Off = "off"

// mostQuota bounds a setting, so that a step is not less than 10 µs.
const mostQuota = 6_000_000

// Parse reads a setting: Off, or N/s, N/m or N/h. The limit's quota is 0 when it is off.
func Parse(name Name, text string) (Limit, error) {
	if text == Off {
		return Limit{Name: name}, nil
	}
	number, unit, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(number)
	window := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	if err != nil || window == 0 || n < 1 || n > mostQuota || time.Duration(n) > window/(10*time.Microsecond) {
		return Limit{}, constellation.Errorf(constellation.KindInvalid, "a limit is off, or a number of requests with /s, /m or /h, such as 600/m, up to 100000 a second; not %q", text)
	}
	return Limit{Name: name, Quota: n, Window: window}, nil
}

// step is the time after which one more request is there.
func (l *Limit) step() time.Duration { return l.Window / time.Duration(l.Quota) }

// unit is what the window is called.
func (l *Limit) unit() string {
	switch l.Window {
	case time.Second:
		return "a second"
	case time.Minute:
		return "a minute"
	case time.Hour:
		return "an hour"
	}
	return "in " + l.Window.String()
}

// Network returns what counts as one address: of IPv6 the /64, which one customer of a
// provider has to himself.
func Network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}

// sentences say what somebody made too many of; %s is the address.
var sentences = map[Name]string{
	Key:       "this API key made too many requests: %[2]d %[3]s are answered",
	Session:   "This session made too many requests: %[2]d %[3]s are answered",
	Address:   "too many requests without an API key came from %[1]s: %[2]d %[3]s are answered",
	WrongKey:  "too many requests with an API key that is wrong, revoked or expired came from %[1]s: %[2]d %[3]s are looked at",
	SignIn:    "Too many sign-ins came from %[1]s: %[2]d steps of one %[3]s are taken",
	Exchanges: "too many tokens came from %[1]s to be exchanged: %[2]d %[3]s are taken",
}

// sentence is what a refused request is answered with.
func (l *Limit) sentence(subject string, wait int) string {
	seconds := "seconds"
	if wait == 1 {
		seconds = "second"
	}
	if subject == "" {
		subject = "an address that is not known"
	}
	return fmt.Sprintf(sentences[l.Name], subject, l.Quota, l.unit()) + fmt.Sprintf("; try again in %d %s", wait, seconds)
}
