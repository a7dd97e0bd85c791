package constellation

import "strconv"

// Scale is how many replicas an algorithm has: Replicas to start with, and
// bounds within which the satellite follows the load once MaxReplicas is set.
type Scale struct {
	Replicas    int
	MinReplicas *int // nil: see Min
	MaxReplicas int  // 0: the number stays Replicas
}

// Follows reports whether the number of replicas follows the load.
func (s Scale) Follows() bool { return s.MaxReplicas != 0 }

// Min returns the fewest replicas that there are while nothing is called: those
// that were given, else 1. Where the number does not follow the load, that
// is Replicas.
func (s Scale) Min() int {
	switch {
	case !s.Follows():
		return s.Replicas
	case s.MinReplicas != nil:
		return *s.MinReplicas
	}
	return 1
}

// Max returns the most replicas that there are.
func (s Scale) Max() int {
	if !s.Follows() {
		return s.Replicas
	}
	return s.MaxReplicas
}

// Equal reports whether s and other are the same in all their parts.
func (s Scale) Equal(other Scale) bool {
	if (s.MinReplicas == nil) != (other.MinReplicas == nil) {
		return false
	}
	return s.Replicas == other.Replicas && s.MaxReplicas == other.MaxReplicas && (s.MinReplicas == nil || *s.MinReplicas == *other.MinReplicas)
}

// String returns the scale as it is configured and shown: 2, or 2..10.
func (s Scale) String() string {
	if !s.Follows() {
		return strconv.Itoa(s.Replicas)
	}
	return strconv.Itoa(s.Min()) + ".." + strconv.Itoa(s.Max())
}

// Check adds to v what is wrong with the scale of the algorithm that field names
// and ends with a dot, or "".
func (s Scale) Check(v *Validation, field string) {
	known := true
	if s.Replicas < 0 || s.Replicas > MaxReplicas {
		v.Add(field+"replicas", "replicas is a number from 0 to %d; not %d", MaxReplicas, s.Replicas)
		known = false
	}
	if s.MinReplicas != nil && (*s.MinReplicas < 0 || *s.MinReplicas > MaxReplicas) {
		v.Add(field+"min_replicas", "min_replicas is a number from 0 to %d; not %d", MaxReplicas, *s.MinReplicas)
		known = false
	}
	switch {
	case s.MaxReplicas < 0 || s.MaxReplicas > MaxReplicas:
		v.Add(field+"max_replicas", "max_replicas is a number from 1 to %d, or left out so that the replicas do not follow the load; not %d", MaxReplicas, s.MaxReplicas)
	case !s.Follows() && s.MinReplicas != nil:
		v.Add(field+"max_replicas", "min_replicas is of no use alone; give max_replicas too, so that the replicas follow the load between both")
	case !s.Follows() || !known:
	case s.Min() > s.MaxReplicas:
		v.Add(field+"min_replicas", "min_replicas, %d, is above max_replicas, %d", s.Min(), s.MaxReplicas)
	case s.Replicas > s.MaxReplicas:
		v.Add(field+"replicas", "replicas, which the algorithm starts with, is above max_replicas: %d is more than %d", s.Replicas, s.MaxReplicas)
	case s.Replicas < s.Min() && s.MinReplicas == nil:
		v.Add(field+"replicas", "replicas, which the algorithm starts with, is below min_replicas, which is 1 where it is left out: %d is less", s.Replicas)
	case s.Replicas < s.Min():
		v.Add(field+"replicas", "replicas, which the algorithm starts with, is below min_replicas: %d is less than %d", s.Replicas, s.Min())
	}
}
