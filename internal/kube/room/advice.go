package room

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

// What pods are advised to have that say nothing themselves.
const (
	usualCPU      = render.EngineCPU
	usualCPULimit = "1"
	usualMemory   = "256Mi"
)

// AdviseWithin returns the fewest settings with which every LimitRange admits a
// group's pods; none when no value does.
func (r Ranges) AdviseWithin(g Group) []Setting {
	memory, cpu := r.memorySetting(g), r.cpuSettings(g)
	for _, list := range [][]Setting{memory, cpu, slices.Concat(memory, cpu)} {
		if spec := g.with(list); admit(spec, r) == "" {
			return g.settings(list)
		}
	}
	return nil
}

func (r Ranges) memorySetting(g Group) []Setting {
	least, most, _ := r.bounds(corev1.ResourceMemory)
	return []Setting{{"memory", clamped(g.requested(corev1.ResourceMemory), least, most)}} // asked for, and the limit
}

func (r Ranges) cpuSettings(g Group) []Setting {
	least, most, ratio := r.bounds(corev1.ResourceCPU)
	request := clamped(g.requested(corev1.ResourceCPU), least, most)
	limit := clamped(resource.MustParse(usualCPULimit), least, most)
	if ratio != nil {
		furthest := int64(float64(request.MilliValue()) * ratio.AsApproximateFloat64())
		limit = *resource.NewMilliQuantity(min(limit.MilliValue(), furthest), resource.DecimalSI)
	}
	if limit.Cmp(request) < 0 {
		limit = request
	}
	return []Setting{{"cpu", request}, {"cpu_limit", limit}}
}

func clamped(q resource.Quantity, least, most *resource.Quantity) resource.Quantity {
	if least != nil && q.Cmp(*least) < 0 {
		q = least.DeepCopy()
	}
	if most != nil && q.Cmp(*most) > 0 {
		q = most.DeepCopy()
	}
	return q
}

// bounds are the narrowest of all LimitRanges, nil for none. A pod of ours has
// one container, so that a container's bounds and a pod's are the same.
func (r Ranges) bounds(name corev1.ResourceName) (least, most, ratio *resource.Quantity) {
	narrower := func(have *resource.Quantity, list corev1.ResourceList, sign int) *resource.Quantity {
		if q, ok := list[name]; ok && (have == nil || q.Cmp(*have)*sign > 0) {
			return &q
		}
		return have
	}
	for _, of := range []corev1.LimitType{corev1.LimitTypeContainer, corev1.LimitTypePod} {
		for item := range items(r, of) {
			least, most, ratio = narrower(least, item.Min, 1), narrower(most, item.Max, -1), narrower(ratio, item.MaxLimitRequestRatio, -1)
		}
	}
	return least, most, ratio
}

// AdviseUnset returns settings that make silent pods say what a quota counts. Where
// that is then more than it leaves beside what the others want, those are
// lowered too.
func (r Ranges) AdviseUnset(silent, all []Group, word corev1.ResourceName, left, wanted resource.Quantity) (advice []Setting) {
	name, limit, _ := counted(word)
	share, sum := shareOf(all, name, left), wanted.DeepCopy()
	for _, g := range silent {
		value := smaller(g.requested(name), share)
		list := []Setting{{string(name), value}}
		if limit && name == corev1.ResourceCPU {
			value = larger(smaller(resource.MustParse(usualCPULimit), share), value)
			list = append(list, Setting{"cpu_limit", value})
		}
		for range g.Missing {
			sum.Add(value)
		}
		advice = append(advice, r.admitted(g, list)...)
	}
	if sum.Cmp(left) > 0 {
		advice = append(advice, r.AdviseLower(all, word, left)...)
	}
	return advice
}

// AdviseLower returns settings with which all pods together take no more of a resource
// than a quota leaves: those that take more than an even share are lowered to
// it. There are none where a share is too small to run in.
func (r Ranges) AdviseLower(all []Group, word corev1.ResourceName, left resource.Quantity) (advice []Setting) {
	name, limit, ok := counted(word)
	if !ok {
		return nil
	}
	share := shareOf(all, name, left)
	if share.Cmp(leastShare[name]) < 0 {
		return nil
	}
	for _, g := range all {
		list, key := g.Requests, string(name)
		if limit {
			list = g.Limits
		}
		if limit && name == corev1.ResourceCPU {
			key = "cpu_limit"
		}
		if have := list[name]; have.Cmp(share) > 0 {
			advice = append(advice, r.admitted(g, []Setting{{key, share}})...)
		}
	}
	return advice
}

// leastShare is less than what anything runs in.
var leastShare = map[corev1.ResourceName]resource.Quantity{
	corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi"),
}

// admitted leaves out settings that a LimitRange would refuse.
func (r Ranges) admitted(g Group, list []Setting) []Setting {
	if g.Refused == "" && admit(g.with(list), r) != "" {
		return nil
	}
	return g.settings(list)
}

// shareOf divides what is left evenly among the pods, rounded down to what
// people write.
func shareOf(all []Group, name corev1.ResourceName, left resource.Quantity) resource.Quantity {
	pods := int64(0)
	for _, g := range all {
		pods += int64(g.Missing)
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
