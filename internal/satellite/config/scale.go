package config

import "github.com/constellation-serving/constellation/internal/constellation"

// Scaled reports whether the route's replicas follow its load.
func (r Route) Scaled() bool { return r.MaxReplicas > 0 }

// Bounds returns between which counts a scaled route's replicas stay. Without
// a least count it is one: none at all is to be asked for.
func (r Route) Bounds() (least, most int) {
	least = 1
	if r.MinReplicas != nil {
		least = *r.MinReplicas
	}
	return least, r.MaxReplicas
}

// checkScale holds the bounds of a route's replicas, and what it is scaled by,
// to the rules.
func (r Route) checkScale(v *constellation.Validation) {
	least, most := r.Bounds()
	switch {
	case r.MaxReplicas < 0 || r.MaxReplicas > constellation.MaxReplicas:
		v.Add("max_replicas", "max_replicas is a number from 1 to %d", constellation.MaxReplicas)
	case r.MinReplicas != nil && (*r.MinReplicas < 0 || *r.MinReplicas > constellation.MaxReplicas):
		v.Add("min_replicas", "min_replicas is a number from 0 to %d", constellation.MaxReplicas)
	case r.Scaled() && least > most:
		v.Add("min_replicas", "min_replicas is %d and max_replicas is %d: the least is above the most", least, most)
	}
	if r.Deployment != "" && !serviceName.MatchString(r.Deployment) {
		v.Add("deployment", "a Deployment's name has up to 63 lower-case letters, digits and '-', and starts with a letter; not %q", r.Deployment)
	}
}

// ScaleManager is the field manager by which engines set the replicas of a scaled
// route's Deployment.
const ScaleManager = "execution-engine"
