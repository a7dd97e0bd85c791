package preflight

import "github.com/constellation-serving/constellation/internal/kube/render"

// metricsCheck is the name of the check of what reads the engines' metrics.
const metricsCheck = "metrics"

// metrics finds monitors that cannot be made, or whose Prometheus may not read.
// Nobody's calls depend on them.
func (p *preflight) metrics() {
	set, apis := p.input.Settings, p.cluster.APIs
	made := p.monitor(set.Monitor, apis.ServiceMonitor, render.MonitorKind, "stage.metrics.service_monitor")
	pods := p.monitor(set.PodMonitor, apis.PodMonitor, render.PodMonitorKind, "stage.metrics.pod_monitor")
	if made && pods {
		p.note(metricsCheck, Warning, "configure one of them to off",
			"both stage.metrics.service_monitor and stage.metrics.pod_monitor are on, so that a Prometheus which selects both reads each engine twice")
	}
}

// monitor reports whether a monitor is made.
func (p *preflight) monitor(m render.Monitor, api, kind, key string) bool {
	switch {
	case !m.On:
	case api == "":
		p.note(metricsCheck, Warning, "install the Prometheus Operator and deploy again, or configure "+key+"=off",
			"this cluster does not serve %s %s, so that %s makes none", render.MonitorAPI, kind, key)
	case !p.input.Settings.MetricsAllow.Readable():
		p.note(metricsCheck, Warning, "configure stage.metrics.allow to the namespace of Prometheus",
			"stage.metrics.allow names nobody, so that where network policies are enforced Prometheus gets no answer, though the %s sends it there", kind)
		return true
	default:
		p.note(metricsCheck, OK, "", "a %s tells Prometheus of the engines' metrics", kind)
		return true
	}
	return false
}
