package outbound

import (
	"net/netip"
	"testing"
)

func TestAllowed(t *testing.T) {
	a, err := ParseAllowed([]string{"Registry.Corp.example.", "10.0.0.0/8", "127.0.0.1", "[::1]", "0.0.0.0/0"}[:4])
	if err != nil {
		t.Fatal(err)
	}
	wide, err := ParseAllowed([]string{"0.0.0.0/0", "169.254.170.2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		allowed Allowed
		host    string
		at      string
		ok      bool
	}{
		{a, "example.com", "93.184.216.34", true},
		{a, "example.com", "10.1.2.3", true},
		{a, "example.com", "192.168.1.1", false},
		{a, "registry.corp.example", "192.168.1.1", true},
		{a, "REGISTRY.corp.example.", "fd00::1", true},
		{a, "registry.corp.example", "169.254.169.254", false},
		{a, "registry.corp.example", "0.0.0.0", false},
		{a, "localhost", "127.0.0.1", true},
		{a, "localhost", "127.0.0.2", false},
		{a, "localhost", "::1", true},
		{a, "example.com", "169.254.169.254", false},
		{Allowed{}, "example.com", "127.0.0.1", false},
		{Allowed{}, "example.com", "168.63.129.16", false},
		{wide, "example.com", "192.168.1.1", true},
		{wide, "example.com", "169.254.169.254", false},
		{wide, "example.com", "169.254.170.2", true},
	} {
		if err := c.allowed.Check(c.host, netip.MustParseAddr(c.at)); (err == nil) != c.ok {
			t.Errorf("Check(%s, %s) = %v, want it allowed: %v", c.host, c.at, err, c.ok)
		}
	}
	for _, entry := range []string{"", "https://a", "a:5000", "10.0.0.0/99", "fe80::1%eth0", "a b"} {
		if _, err := ParseAllowed([]string{entry}); err == nil {
			t.Errorf("ParseAllowed(%q) = nil, want a refusal", entry)
		}
	}
}
