package outbound

import (
	"fmt"
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

func TestMetadataRanges(t *testing.T) {
	t.Parallel()
	for of, want := range map[string]string{
		"10.0.0.0/8":     "[]",
		"169.254.0.0/15": "[169.254.0.0/16]",
		"169.254.1.0/24": "[169.254.0.0/16]",
		"100.64.0.0/10":  "[100.100.100.200/32]",
		"192.0.0.192/32": "[192.0.0.192/32]",
		"fd00::/8":       "[fd00:ec2::254/128 fd20:ce::254/128]",
		"64:ff9b::/96":   "[64:ff9b::a9fe:0/112 64:ff9b::6464:64c8/128 64:ff9b::a83f:8110/128 64:ff9b::c000:c0/128]",
		"2002::/17":      "[2002:6464:64c8::/48]",
		"2002:a9fe::/32": "[2002:a9fe::/32]",
		"2001:db8::/32":  "[]",
	} {
		if got := fmt.Sprint(MetadataRanges(netip.MustParsePrefix(of))); got != want {
			t.Errorf("MetadataRanges(%s) = %s, want %s", of, got, want)
		}
	}
	for _, p := range append(MetadataRanges(netip.MustParsePrefix("0.0.0.0/0")), MetadataRanges(netip.MustParsePrefix("::/0"))...) {
		if !Metadata(p.Addr()) {
			t.Errorf("%s is in the ranges, and Metadata does not hold for it", p)
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
