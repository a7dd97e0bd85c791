package callback

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestOnlyPublicAddressesAreReached(t *testing.T) {
	for address, public := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.15.0.1": true, "172.32.0.1": true, "100.63.0.1": true, "100.128.0.1": true,
		"2606:4700:4700::1111": true, "2a00:1450:4001:80b::200e": true,
		"127.0.0.1": false, "127.255.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false,
		"172.31.255.255": false, "192.168.1.1": false, "169.254.169.254": false, "169.254.0.1": false, "100.64.0.1": false,
		"100.100.100.200": false, "192.0.0.192": false, "192.0.2.1": false, "198.18.0.1": false, "198.51.100.1": false,
		"203.0.113.1": false, "224.0.0.1": false, "239.1.1.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd00:ec2::254": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false,
		"64:ff9b::a9fe:a9fe": false, "64:ff9b:1::a9fe:a9fe": false, "2002:a9fe:a9fe::1": false, "2001:db8::1": false, "2001::1": false, "fec0::1": false,
	} {
		_, err := dialer(nil, func() []string { return nil }).Addresses(t.Context(), address)
		if (err == nil) != public {
			t.Errorf("Addresses(%s) = %v, want it public: %v", address, err, public)
		}
	}
}

func TestWhatTheOperatorAllows(t *testing.T) {
	answers := map[string][]string{
		"inside.example": {"10.1.2.3"}, "other.example": {"10.9.9.9"}, "mixed.example": {"8.8.8.8", "169.254.169.254"},
		"mapped.example": {"::ffff:10.1.2.3"}, "nothing.example": {}, "turned.example": {"169.254.169.254"},
	}
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		var list []netip.Addr
		for _, a := range answers[host] {
			list = append(list, netip.MustParseAddr(a))
		}
		return list, nil
	}
	d := dialer(lookup, func() []string { return []string{"Other.example", "10.1.0.0/16", "turned.example", "not an entry"} })
	for host, ok := range map[string]bool{
		"inside.example": true, "mapped.example": true, "other.example": true, "other.example.": false, "10.1.2.3": true, "turned.example": false,
		"10.2.2.3": false, "mixed.example": false, "nothing.example": false, "0x7f000001": false, "2130706433": false,
	} {
		if _, err := d.Addresses(t.Context(), host); (err == nil) != ok {
			t.Errorf("Addresses(%s) = %v, want it allowed: %v", host, err, ok)
		}
	}
	if _, err := d.Addresses(t.Context(), "mixed.example"); err == nil || !strings.Contains(err.Error(), "stage.callbacks.allow") {
		t.Errorf("the error %v does not say what allows it", err)
	}
}

// TestANameIsResolvedOnce: what was checked is what is connected to, though the
// name has another address a moment later.
func TestANameIsResolvedOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	lookups := 0
	d := dialer(func(context.Context, string) ([]netip.Addr, error) {
		lookups++
		if lookups == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
	}, func() []string { return []string{"127.0.0.1"} })
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	conn, err := d.DialContext(t.Context(), "tcp", "turns.example:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if conn.RemoteAddr().String() != ln.Addr().String() || lookups != 1 {
		t.Errorf("connected to %s after %d look-ups, want %s after one", conn.RemoteAddr(), lookups, ln.Addr())
	}
	if _, err := d.DialContext(t.Context(), "tcp", "turns.example:"+port); err == nil {
		t.Error("the name is connected to once it has a metadata service's address")
	}
}
