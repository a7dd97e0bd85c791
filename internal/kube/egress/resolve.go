package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/outbound"
)

// What names may take: how many a launch may have, how many are looked up at a
// time, for how long, and how many addresses each is opened for.
const (
	MaxNames     = 256
	lookups      = 8
	lookupTime   = 5 * time.Second
	lookupsTime  = 30 * time.Second
	maxAddresses = 32
)

// Resolver looks names up. It is an interface so that a test has name servers of
// its own; net.DefaultResolver is the machine's.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Addresses are those of one name, in order.
type Addresses struct {
	All     []netip.Addr
	Problem string // why there are none, as a sentence without an end
}

// Names returns the names of lists, each once, in order.
func Names(lists map[string][]Entry) []string {
	var names []string
	for _, list := range lists {
		for _, e := range list {
			if e.Host != "" {
				names = append(names, e.Host)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Resolve looks up every address of every name of lists. A name that cannot be
// opened has a problem in place of them.
func Resolve(ctx context.Context, r Resolver, lists map[string][]Entry) map[string]Addresses {
	names := Names(lists)
	found := make([]Addresses, len(names))
	ctx, cancel := context.WithTimeout(ctx, lookupsTime)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(lookups)
	for i, name := range names {
		group.Go(func() error {
			found[i] = resolve(ctx, r, name)
			return nil
		})
	}
	_ = group.Wait() // none has an error
	resolved := map[string]Addresses{}
	for i, name := range names {
		resolved[name] = found[i]
	}
	return resolved
}

func resolve(ctx context.Context, r Resolver, name string) Addresses {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	all, err := r.LookupNetIP(ctx, "ip", name)
	if err != nil {
		cause := err.Error()
		if e := new(net.DNSError); errors.As(err, &e) {
			cause = e.Err
		}
		return Addresses{Problem: fmt.Sprintf("this machine cannot look up %s: %s", name, strings.ReplaceAll(cause, "\n", " "))}
	}
	for i, at := range all {
		all[i] = at.Unmap().WithZone("")
	}
	slices.SortFunc(all, netip.Addr.Compare)
	all = slices.Compact(all)
	for _, at := range all {
		if at.IsLoopback() || outbound.Metadata(at) || outbound.NoHost(at) {
			return Addresses{Problem: fmt.Sprintf("%s has the address %s, which is never opened: it is a machine's own, of the local link, of a group, or where a cloud keeps its metadata", name, at)}
		}
	}
	if len(all) > maxAddresses {
		return Addresses{Problem: fmt.Sprintf("%s has %d addresses, and a name is opened for %d at most", name, len(all), maxAddresses)}
	}
	if len(all) == 0 {
		return Addresses{Problem: name + " has no address"}
	}
	return Addresses{All: all}
}

// Told says of an algorithm what it may reach, and by which kind of policy.
type Told struct {
	VanityURL string   `json:"vanity_url"`
	Policy    string   `json:"policy"`
	Reaches   []string `json:"reaches"` // HOST:PORT at ADDRESS ADDRESS…, or RANGE:PORT
}

// String is the whole in a line.
func (t Told) String() string {
	return t.VanityURL + " reaches, by " + t.Policy + ": " + strings.Join(t.Reaches, ", ")
}

// Tell says what a list opens. Addresses are nil where policies know names.
func Tell(list []Entry, resolved map[string]Addresses) []string {
	reaches := make([]string, len(list))
	for i, e := range list {
		reaches[i] = e.String()
		if addresses, ok := resolved[e.Host]; ok && e.Host != "" {
			reaches[i] += " at"
			if len(addresses.All) == 0 {
				reaches[i] += " no address"
			}
			for _, at := range addresses.All {
				reaches[i] += " " + at.String()
			}
		}
	}
	return reaches
}
