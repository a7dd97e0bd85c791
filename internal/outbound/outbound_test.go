package outbound

import (
	"net/netip"
	"testing"
)

func TestMetadata(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"169.254.169.254": true, "::ffff:169.254.169.254": true, "fe80::1": true, "fe80::1%eth0": true, "100.100.100.200": true,
		"168.63.129.16": true, "192.0.0.192": true, "fd00:ec2::254": true, "fd20:ce::254": true,
		"64:ff9b::a9fe:a9fe": true, "2002:a9fe:a9fe::1": true, "::a9fe:a9fe": true,
		"8.8.8.8": false, "10.0.0.1": false, "127.0.0.1": false, "::1": false, "::": false, "fd12::1": false, "64:ff9b::808:808": false,
	} {
		if got := Metadata(netip.MustParseAddr(address)); got != want {
			t.Errorf("Metadata(%s) = %v, want %v", address, got, want)
		}
	}
}

func TestNoHost(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"0.0.0.0": true, "::": true, "224.0.0.1": true, "ff02::1": true, "64:ff9b::": true, "10.0.0.1": false, "::1": false,
	} {
		if got := NoHost(netip.MustParseAddr(address)); got != want {
			t.Errorf("NoHost(%s) = %v, want %v", address, got, want)
		}
	}
}
