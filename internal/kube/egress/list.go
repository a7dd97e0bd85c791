package egress

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/constellation-serving/constellation/internal/outbound"
)

// MaxEntries is how many entries one algorithm's list may have.
const MaxEntries = 32

// Entry is one thing that an algorithm may reach: a host by its name, or a range
// of addresses.
type Entry struct {
	Host  string       // in lower case; "" for a range
	Range netip.Prefix // its own address for a single one
	Port  int          // 0 is every port
	UDP   bool         // and not TCP
}

const form = "is a list of HOST:PORT, ADDRESS:PORT and RANGE:PORT with commas between them, such as api.example.com:443,10.0.0.0/8:5432"

// Parse reads a list: entries with commas between them, each a host's name, an
// address or a range, and a port behind a colon: a number, or * for every port.
// IPv6 is in brackets, and /udp behind the port is for UDP.
func Parse(value string) ([]Entry, error) {
	var list []Entry
	for part := range strings.SplitSeq(value, ",") {
		e, err := parseEntry(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(list, e) {
			list = append(list, e)
		}
	}
	if len(list) > MaxEntries {
		return nil, fmt.Errorf("has at most %d entries; these are %d", MaxEntries, len(list))
	}
	return list, nil
}

// Format writes a list as Parse reads it.
func Format(list []Entry) string {
	parts := make([]string, len(list))
	for i, e := range list {
		parts[i] = e.String()
	}
	return strings.Join(parts, ",")
}

// String writes an entry as Parse reads it.
func (e Entry) String() string {
	where := cmp.Or(e.Host, e.Range.String())
	if e.Host == "" && e.Range.IsSingleIP() {
		where = e.Range.Addr().String()
	}
	if e.Host == "" && e.Range.Addr().Is6() {
		where = "[" + where + "]"
	}
	port := "*"
	if e.Port > 0 {
		port = strconv.Itoa(e.Port)
	}
	if e.UDP {
		port += "/udp"
	}
	return where + ":" + port
}

func parseEntry(text string) (e Entry, err error) {
	rest := text
	if cut, udp := strings.CutSuffix(text, "/udp"); udp {
		rest, e.UDP = cut, true
	} else {
		rest = strings.TrimSuffix(text, "/tcp")
	}
	colon := strings.LastIndexByte(rest, ':')
	if colon < 1 || strings.Contains(text, "://") {
		return e, fmt.Errorf("%s; not %q", form, text)
	}
	where, port := rest[:colon], rest[colon+1:]
	if e.Port, err = parsePort(port); err != nil {
		return e, fmt.Errorf("%s; of %q, %w", form, text, err)
	}
	inner, bracketed := strings.CutSuffix(strings.TrimPrefix(where, "["), "]")
	if !bracketed && strings.Contains(where, ":") {
		return e, fmt.Errorf("%s; IPv6 is in brackets, such as [2001:db8::/32]:443; not %q", form, text)
	}
	if e.Range, err = parseRange(inner); err == nil && bracketed == e.Range.Addr().Is6() {
		return e, unreachable(e.Range)
	}
	if bracketed || strings.Contains(where, "/") {
		return e, fmt.Errorf("%s; %q is no range of addresses", form, inner)
	}
	e.Range, e.Host = netip.Prefix{}, strings.TrimSuffix(strings.ToLower(where), ".")
	return e, isHost(e.Host)
}

func parsePort(text string) (int, error) {
	if text == "*" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no port from 1 to 65535, and not *", text)
	}
	return int(n), nil
}

func parseRange(text string) (netip.Prefix, error) {
	if at, err := netip.ParseAddr(text); err == nil && at.Zone() == "" && !at.Is4In6() {
		return netip.PrefixFrom(at, at.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err == nil && p.Addr().Is4In6() {
		err = errors.New("an IPv4 address in a form of IPv6")
	}
	return p.Masked(), err
}

// unreachable refuses ranges in which nothing is that an algorithm may reach.
func unreachable(p netip.Prefix) error {
	switch {
	case p.Addr().IsLoopback():
		return fmt.Errorf("cannot have %s: it is the pod's own", p)
	case p.Addr().IsMulticast():
		return fmt.Errorf("cannot have %s: it is of a group", p)
	}
	for _, none := range outbound.MetadataRanges(p) {
		if none.Bits() <= p.Bits() {
			return fmt.Errorf("cannot have %s: clouds keep their metadata there, or it is of the local link", p)
		}
	}
	return nil
}

// isHost holds a name to what can be looked up everywhere alike. Policies see the
// pods of a Service and not its address.
func isHost(host string) error {
	labels := strings.Split(host, ".")
	switch last := labels[len(labels)-1]; {
	case strings.Contains(host, "*"):
		return fmt.Errorf("%s; %q is a pattern, and every name is one of its own here", form, host)
	case len(validation.IsDNS1123Subdomain(host)) > 0 || strings.Trim(last, "0123456789") == "":
		return fmt.Errorf("%s; %q is no host's name", form, host)
	case len(labels) < 2:
		return fmt.Errorf("%s; %q is no whole name, with its domain", form, host)
	case last == "svc", strings.HasSuffix(host, ".cluster.local"):
		return fmt.Errorf("cannot have %s: network policies see the pods behind a Service, and not its name or address; write the range of the pods' addresses", host)
	case last == "localhost":
		return fmt.Errorf("cannot have %s: it is the pod's own", host)
	}
	return nil
}
