package control

import (
	"slices"
	"sync"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// maxCachedBundles bounds the memory of bundles: their documents are tens of
// kilobytes each.
const maxCachedBundles = 256

// cachedBundle is a bundle, the digest of all it was made of, and whose it is.
type cachedBundle struct {
	inputs, satelliteID, launchID string
	bundle                        *bundle.Bundle
}

// bundleCache keeps the most recently used bundles, newest last.
type bundleCache struct {
	mu      sync.Mutex
	bundles []cachedBundle
}

func newBundleCache() *bundleCache { return &bundleCache{} }

// get returns the bundle made of inputs, or nil.
func (c *bundleCache) get(inputs string) *bundle.Bundle {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.bundles, func(b cachedBundle) bool { return b.inputs == inputs })
	if i < 0 {
		return nil
	}
	found := c.bundles[i]
	c.bundles = append(slices.Delete(c.bundles, i, i+1), found)
	return found.bundle
}

// put adds a bundle in place of one with the same inputs.
func (c *bundleCache) put(b cachedBundle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bundles = slices.DeleteFunc(c.bundles, func(old cachedBundle) bool { return old.inputs == b.inputs })
	c.bundles = append(c.bundles, b)
	if extra := len(c.bundles) - maxCachedBundles; extra > 0 {
		c.bundles = slices.Delete(c.bundles, 0, extra)
	}
}

// of returns the bundles of a satellite, most recent first.
func (c *bundleCache) of(satelliteID string) []cachedBundle {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []cachedBundle
	for _, b := range slices.Backward(c.bundles) {
		if b.satelliteID == satelliteID {
			list = append(list, b)
		}
	}
	return list
}
