// Package outbound connects to hosts that somebody else named: a caller's
// callback, an issuer's keys.
//
// It promises that what is connected to is an address that was checked: a name
// is resolved once, each of its addresses is checked, and one that passed is
// connected to, so that a name cannot turn into another address in between.
// Which addresses pass, its user says, with the kinds of addresses known here.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Resolver returns the addresses of a host name.
type Resolver func(ctx context.Context, host string) ([]netip.Addr, error)

// Dialer connects to the addresses that pass its check.
type Dialer struct {
	Resolve Resolver // nil is the system's
	// Check returns why an address of a host, never an IPv4 address in the form
	// of IPv6, is not connected to.
	Check func(host string, at netip.Addr) error
}

// dialTimeout is how long looking up and connecting may take together.
const dialTimeout = 5 * time.Second

// DialContext resolves the host, checks each of its addresses, and connects to
// the first that answers, by its address and not by its name. One address that is
// refused refuses the name: an honest host has no such.
func (d *Dialer) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addresses, err := d.Addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, at := range addresses {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(at.String(), port))
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// Addresses returns the addresses of a host, all of which passed.
func (d *Dialer) Addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	addresses, err := d.lookUp(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("look %s up: %w", host, err)
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("look %s up: it has no address", host)
	}
	for i, at := range addresses {
		addresses[i] = at.Unmap() // ::ffff:10.0.0.1 is 10.0.0.1
		if err := d.Check(host, addresses[i]); err != nil {
			return nil, err
		}
	}
	return addresses, nil
}

func (d *Dialer) lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if literal, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{literal}, nil
	}
	if d.Resolve != nil {
		return d.Resolve(ctx, host)
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
