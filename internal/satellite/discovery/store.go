package discovery

import (
	"net/netip"
	"sync/atomic"

	"k8s.io/client-go/tools/cache"
)

// The store's indexes.
const (
	byService = "service"
	byAddress = "address"
)

// store is a reflector's store that reports each change.
type store struct {
	cache.Indexer
	source  *source
	changed func(service string)
	listed  atomic.Bool // the first list is complete and reported
}

func newStore(src *source, changed func(service string)) *store {
	return &store{source: src, changed: changed, Indexer: cache.NewIndexer(cache.DeletionHandlingMetaNamespaceKeyFunc, cache.Indexers{
		byService: func(object any) ([]string, error) { return []string{src.service(object)}, nil },
		byAddress: func(object any) ([]string, error) { return canonicalHosts(src.all(object)), nil },
	})}
}

func canonicalHosts(hosts []string) []string {
	for i, host := range hosts {
		hosts[i] = CanonicalHost(host)
	}
	return hosts
}

// CanonicalHost returns the one form of an address that has several.
func CanonicalHost(host string) string {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().WithZone("").String()
	}
	return host
}

func (s *store) notify(object any) {
	if service := s.source.service(object); service != "" {
		s.changed(service)
	}
}

// Add stores an object that was created.
func (s *store) Add(object any) error {
	err := s.Indexer.Add(object)
	s.notify(object)
	return err
}

// Update stores an object that changed.
func (s *store) Update(object any) error {
	err := s.Indexer.Update(object)
	s.notify(object)
	return err
}

// Delete removes an object that was deleted.
func (s *store) Delete(object any) error {
	err := s.Indexer.Delete(object)
	s.notify(object)
	return err
}

// Replace stores a whole list in place of all objects.
func (s *store) Replace(objects []any, version string) error {
	services := map[string]bool{}
	for _, object := range append(s.List(), objects...) {
		services[s.source.service(object)] = true
	}
	err := s.Indexer.Replace(objects, version)
	for service := range services {
		s.changed(service)
	}
	s.listed.Store(true)
	return err
}
