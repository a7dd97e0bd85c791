package launchtest

import (
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/rollout"
)

// Observer hands a rollout's events to functions, of which each may be nil.
type Observer struct {
	OnReport   func(format string, args ...any)
	OnPhase    func(name string)
	OnChanged  func(apply.Change)
	OnObserved func([]health.Deployment)
}

// ObserverOf returns the observer of a rollout that of returned.
func ObserverOf(r rollout.Rollout) *Observer { return r.Observer.(*Observer) }

// Report hands on a line for the operator.
func (o *Observer) Report(format string, args ...any) {
	if o.OnReport != nil {
		o.OnReport(format, args...)
	}
}

// Phase hands on what begins.
func (o *Observer) Phase(name string) {
	if o.OnPhase != nil {
		o.OnPhase(name)
	}
}

// Changed hands on what was written or deleted.
func (o *Observer) Changed(c apply.Change) {
	if o.OnChanged != nil {
		o.OnChanged(c)
	}
}

// Observed hands on what a wait sees.
func (o *Observer) Observed(deployments []health.Deployment) {
	if o.OnObserved != nil {
		o.OnObserved(deployments)
	}
}
