package render

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// AnnotationScale is on the Deployment of an algorithm whose replicas follow
// its load, and says between which counts: "2..10". The count of such a
// Deployment is the engines', from the moment that it is there.
const AnnotationScale = "constellation/scale"

// Bounds are the counts between which replicas follow the load.
type Bounds struct{ Least, Most int }

// String returns the bounds as stage.replicas has them.
func (b Bounds) String() string { return fmt.Sprintf("%d..%d", b.Least, b.Most) }

// clamp returns the nearest count to n within the bounds.
func (b Bounds) clamp(n int) int { return min(max(n, b.Least), b.Most) }

// ParseReplicas reads stage.replicas.<vanity>: a count that stays, or MIN..MAX
// for one that follows the load. The error is one sentence without its
// subject.
func ParseReplicas(value string) (count int, bounds *Bounds, err error) {
	low, high, ranged := strings.Cut(value, "..")
	number := func(s string) (int, bool) {
		n, err := strconv.Atoi(s)
		return n, err == nil && n >= 0 && n <= constellation.MaxReplicas && s[0] != '+'
	}
	least, ok := number(low)
	if !ranged && ok {
		return least, nil, nil
	}
	most, known := number(high)
	switch {
	case !ranged || !ok || !known:
		return 0, nil, fmt.Errorf("is a whole number from 0 to %d, or MIN..MAX such as 2..10 for replicas that follow the load; not %q", constellation.MaxReplicas, value)
	case least > most:
		return 0, nil, fmt.Errorf("has its least count first: %d is above %d; did you mean %d..%d", least, most, most, least)
	case most == 0:
		return 0, nil, fmt.Errorf("needs a MAX of 1 or more; write 0 for no replicas at all, not %q", value)
	}
	return 0, &Bounds{least, most}, nil
}

// Scale returns the bounds between which an algorithm's replicas follow its
// load; ok is false where the count stays.
func (in Input) Scale(a bundle.Algorithm) (bounds Bounds, ok bool) {
	if b, ok := in.Settings.Scale[a.VanityURL]; ok {
		return b, true
	}
	if _, fixed := in.Settings.Replicas[a.VanityURL]; fixed {
		return Bounds{}, false
	}
	scale := a.Scale()
	return Bounds{scale.Min(), scale.Max()}, scale.Follows()
}

// ScaleOf returns the bounds of a Deployment whose replicas follow the load; ok
// is false of any other object.
func ScaleOf(object *unstructured.Unstructured) (bounds Bounds, ok bool) {
	if object == nil || object.GetKind() != "Deployment" {
		return Bounds{}, false
	}
	value := object.GetAnnotations()[AnnotationScale]
	if value == "" {
		return Bounds{}, false
	}
	_, b, err := ParseReplicas(value)
	if err != nil || b == nil {
		return Bounds{}, false
	}
	return *b, true
}

// WithReplicasOf returns a Deployment as it is to be applied over the live one:
// a count that follows the load stays what the engines made it, within the
// bounds. It returns any other object as it is.
func WithReplicasOf(wanted, live *unstructured.Unstructured) *unstructured.Unstructured {
	bounds, ok := ScaleOf(wanted)
	if !ok || live == nil {
		return wanted
	}
	count := int64(bounds.clamp(int(Replicas(live))))
	if count == Replicas(wanted) {
		return wanted
	}
	kept := wanted.DeepCopy()
	if err := unstructured.SetNestedField(kept.Object, count, "spec", "replicas"); err != nil {
		return wanted // it has no spec: the server will say
	}
	return kept
}

// Scales reports whether the replicas of any algorithm follow its load.
func (in Input) Scales() bool {
	for _, a := range in.Plan.Algorithms {
		if _, ok := in.Scale(a); ok {
			return true
		}
	}
	return false
}
