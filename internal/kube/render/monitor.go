package render

import (
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/constellation-serving/constellation/internal/kube/placement"
)

// MetricsName is that of the Service of the engines' metrics.
const MetricsName = EngineName + "-metrics"

// The API of the Prometheus Operator, by which Prometheus learns of what it reads.
const (
	MonitorAPI     = "monitoring.coreos.com/v1"
	MonitorKind    = "ServiceMonitor"
	PodMonitorKind = "PodMonitor"
)

const metricsPortName = "metrics"

// Monitor is whether a ServiceMonitor or a PodMonitor is made of the engines'
// metrics.
type Monitor struct {
	On     bool
	Labels map[string]string // by which a Prometheus selects it
}

// ParseMonitor reads stage.metrics.service_monitor and pod_monitor: "off" or
// nothing, "on", or the labels of one, KEY=VALUE with commas between them.
func ParseMonitor(value string) (m Monitor, err error) {
	switch value = strings.TrimSpace(value); {
	case value == "" || value == "off":
		return Monitor{}, nil
	case value == "on":
		return Monitor{On: true}, nil
	case !strings.Contains(value, "="):
		return Monitor{}, errors.New("is off, on, or the labels by which a Prometheus selects it, such as release=kube-prometheus-stack")
	}
	m.On = true
	m.Labels, err = placement.ParseLabels(value)
	return m, err
}

// Readable reports whether anybody but the engines may read their metrics.
func (a MetricsAllow) Readable() bool { return a.Any || len(a.Namespaces)+len(a.Ranges) > 0 }

// metrics makes a Service of the engines' metrics, where anybody reads them, and
// the ServiceMonitor where the cluster knows such. The Service leads to engines
// that are not ready too: it is then that their metrics are wanted.
func (r *renderer) metrics() {
	r.podMonitor()
	if !r.Settings.Monitor.On && !r.Settings.MetricsAllow.Readable() {
		return
	}
	r.add(&corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: r.serviceMeta(MetricsName, "metrics", placement.Engine),
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, PublishNotReadyAddresses: true, Selector: r.selector(EngineName),
			Ports: []corev1.ServicePort{{
				Name: metricsPortName, Port: metricsPort, TargetPort: intstr.FromString(metricsPortName), Protocol: corev1.ProtocolTCP,
			}},
		},
	})
	if !r.Settings.Monitor.On || r.APIs.ServiceMonitor == "" {
		return
	}
	r.custom(r.APIs.ServiceMonitor, MonitorKind, r.monitorMeta(r.Settings.Monitor), map[string]any{
		"selector":  map[string]any{"matchLabels": anyMap(r.selector(MetricsName))},
		"endpoints": []any{map[string]any{"port": metricsPortName}},
	})
}

// podMonitor makes the PodMonitor, which needs no Service.
func (r *renderer) podMonitor() {
	if !r.Settings.PodMonitor.On || r.APIs.PodMonitor == "" {
		return
	}
	r.custom(r.APIs.PodMonitor, PodMonitorKind, r.monitorMeta(r.Settings.PodMonitor), map[string]any{
		"selector":            map[string]any{"matchLabels": anyMap(r.selector(EngineName))},
		"podMetricsEndpoints": []any{map[string]any{"port": metricsPortName}},
	})
}

func (r *renderer) monitorMeta(m Monitor) metav1.ObjectMeta {
	meta := r.meta(EngineName, "metrics")
	for key, value := range m.Labels {
		meta.Labels[key] = value
	}
	return meta
}

// custom adds an object of a kind that Kubernetes itself does not have.
func (r *renderer) custom(apiVersion, kind string, meta metav1.ObjectMeta, spec map[string]any) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}, ObjectMeta: meta,
	})
	if err != nil {
		r.err = errors.Join(r.err, err)
		return
	}
	content["spec"] = spec
	r.add(&unstructured.Unstructured{Object: content})
}

// MonitorRules are the rights to write monitors: servicemonitors, podmonitors.
func MonitorRules(resource string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{"monitoring.coreos.com"}, Resources: []string{resource}, Verbs: []string{"get", "create", "patch", "delete"}}}
}
