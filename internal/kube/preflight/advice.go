package preflight

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// adviseUnset returns settings that make silent pods say what a quota counts. Where
// that is then more than it leaves beside what the others want, those are
// lowered too.
func (p *preflight) adviseUnset(silent, all []podGroup, word corev1.ResourceName, left, wanted resource.Quantity) (advice []setting) {
	name, limit, _ := counted(word)
	share, sum := shareOf(all, name, left), wanted.DeepCopy()
	for _, g := range silent {
		value := smaller(g.requested(name), share)
		list := []setting{{string(name), value}}
		if limit && name == corev1.ResourceCPU {
			value = larger(smaller(resource.MustParse(usualCPULimit), share), value)
			list = append(list, setting{"cpu_limit", value})
		}
		for range g.missing {
			sum.Add(value)
		}
		advice = append(advice, p.admitted(g, list)...)
	}
	if sum.Cmp(left) > 0 {
		advice = append(advice, p.adviseLower(all, word, left)...)
	}
	return advice
}

// adviseLower returns settings with which all pods together take no more of a resource
// than a quota leaves: those that take more than an even share are lowered to
// it. There are none where a share is too small to run in.
func (p *preflight) adviseLower(all []podGroup, word corev1.ResourceName, left resource.Quantity) (advice []setting) {
	name, limit, ok := counted(word)
	if !ok {
		return nil
	}
	share := shareOf(all, name, left)
	if share.Cmp(leastShare[name]) < 0 {
		return nil
	}
	for _, g := range all {
		list, key := g.requests, string(name)
		if limit {
			list = g.limits
		}
		if limit && name == corev1.ResourceCPU {
			key = "cpu_limit"
		}
		if have := list[name]; have.Cmp(share) > 0 {
			advice = append(advice, p.admitted(g, []setting{{key, share}})...)
		}
	}
	return advice
}

// leastShare is less than what anything runs in.
var leastShare = map[corev1.ResourceName]resource.Quantity{
	corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi"),
}

// admitted leaves out settings that a LimitRange would refuse.
func (p *preflight) admitted(g podGroup, list []setting) []setting {
	if g.refused == "" && admit(g.with(list), p.ranges) != "" {
		return nil
	}
	return g.settings(list)
}

// shareOf divides what is left evenly among the pods, rounded down to what
// people write.
func shareOf(all []podGroup, name corev1.ResourceName, left resource.Quantity) resource.Quantity {
	pods := int64(0)
	for _, g := range all {
		pods += int64(g.missing)
	}
	pods = max(pods, 1)
	if name == corev1.ResourceMemory {
		const mebi = 1 << 20
		return *resource.NewQuantity(left.Value()/pods/mebi*mebi, resource.BinarySI)
	}
	return *resource.NewMilliQuantity(left.MilliValue()/pods, resource.DecimalSI)
}

func smaller(a, b resource.Quantity) resource.Quantity {
	if b.Cmp(a) < 0 {
		return b
	}
	return a
}

func larger(a, b resource.Quantity) resource.Quantity {
	if b.Cmp(a) > 0 {
		return b
	}
	return a
}
