package preflight

import "github.com/constellation-serving/constellation/internal/kube/render"

// metricsCheck is the name of the check of what reads the engines' metrics.
const metricsCheck = "metrics"

// metrics finds a ServiceMonitor that cannot be made, or whose Prometheus may not
// read. Nobody's calls depend on either.
func (p *preflight) metrics() {
	switch set := p.input.Settings; {
	case !set.Monitor.On:
	case p.cluster.APIs.ServiceMonitor == "":
		p.note(metricsCheck, Warning, "install the Prometheus Operator and deploy again, or configure stage.metrics.service_monitor=off",
			"this cluster does not serve %s %s, so that stage.metrics.service_monitor makes none", render.MonitorAPI, render.MonitorKind)
	case !set.MetricsAllow.Readable():
		p.note(metricsCheck, Warning, "configure stage.metrics.allow to the namespace of Prometheus",
			"stage.metrics.allow names nobody, so that where network policies are enforced Prometheus gets no answer, though the ServiceMonitor sends it there")
	default:
		p.note(metricsCheck, OK, "", "a ServiceMonitor tells Prometheus of the engines' metrics")
	}
}
