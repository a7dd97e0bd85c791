package kube

import (
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// ingressClassAnnotation is the class where no ingressClassName can be: on
// Kubernetes 1.18, and for class names with a slash.
const ingressClassAnnotation = "kubernetes.io/ingress.class"

// callSeconds is the longest that a call may take (reference section 4).
const callSeconds = "3000"

// provider is what one ingress controller wants: its usual class, its
// annotations and the form of the path.
type provider struct {
	class       string
	annotations map[string]string
	path        string
}

func providerOf(name string) provider {
	p := provider{path: "/v1/algo/"}
	switch name {
	case "nginx":
		p.class = "nginx"
		p.annotations = map[string]string{
			"nginx.ingress.kubernetes.io/proxy-body-size":    "11m",
			"nginx.ingress.kubernetes.io/proxy-read-timeout": callSeconds,
			"nginx.ingress.kubernetes.io/proxy-send-timeout": callSeconds,
		}
	case "traefik":
		p.class = "traefik"
	case "alb":
		p.class = "alb"
		p.annotations = map[string]string{
			"alb.ingress.kubernetes.io/scheme":                   "internet-facing",
			"alb.ingress.kubernetes.io/target-type":              "ip",
			"alb.ingress.kubernetes.io/healthcheck-path":         "/readyz",
			"alb.ingress.kubernetes.io/load-balancer-attributes": "idle_timeout.timeout_seconds=" + callSeconds,
		}
	case "agic":
		p.class = "azure/application-gateway"
		p.path = "/v1/algo/*"
		p.annotations = map[string]string{
			"appgw.ingress.kubernetes.io/request-timeout":   callSeconds,
			"appgw.ingress.kubernetes.io/health-probe-path": "/readyz",
		}
	case "openshift":
		p.class = "openshift-default"
		p.annotations = map[string]string{"haproxy.router.openshift.io/timeout": callSeconds + "s"}
	}
	return p
}

// IngressClass gives the class that the Ingress asks for, "" for the
// cluster's default.
func (i Ingress) IngressClass() string {
	if i.Class != "" {
		return i.Class
	}
	return providerOf(i.Provider).class
}

// classByAnnotation says whether the class cannot be an ingressClassName.
func (r *renderer) classByAnnotation() bool {
	return r.APIs.Ingress != "networking.k8s.io/v1" ||
		r.Settings.Ingress.Provider == "agic" && r.Settings.Ingress.Class == ""
}

// ingress is the way in from outside the cluster.
func (r *renderer) ingress() {
	in := r.Settings.Ingress
	if in.Provider == "none" || r.err != nil {
		return
	}
	if r.APIs.Ingress == "" {
		r.err = fmt.Errorf("this cluster serves no Ingress; configure stage.ingress.provider=none")
		return
	}
	p, class := providerOf(in.Provider), in.IngressClass()
	annotations := maps.Clone(p.annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	spec := map[string]any{"rules": []any{r.ingressRule(p.path)}}
	switch {
	case class == "":
	case r.classByAnnotation():
		annotations[ingressClassAnnotation] = class
	default:
		spec["ingressClassName"] = class
	}
	if in.TLSSecret != "" {
		tls := map[string]any{"secretName": in.TLSSecret}
		if in.Host != "" {
			tls["hosts"] = []any{in.Host}
		}
		spec["tls"] = []any{tls}
	}
	maps.Copy(annotations, in.Annotations)
	meta := r.meta(EngineName, "engine")
	if len(annotations) > 0 {
		meta.Annotations = annotations
	}
	metadata, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&meta)
	if err != nil {
		r.err = fmt.Errorf("render Ingress: %w", err)
		return
	}
	tidy(metadata)
	r.objects = append(r.objects, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": r.APIs.Ingress, "kind": "Ingress", "metadata": metadata, "spec": spec,
	}})
}

func (r *renderer) ingressRule(path string) map[string]any {
	backend := map[string]any{"service": map[string]any{"name": EngineName, "port": map[string]any{"number": int64(80)}}}
	if r.APIs.Ingress != "networking.k8s.io/v1" {
		backend = map[string]any{"serviceName": EngineName, "servicePort": int64(80)}
	}
	rule := map[string]any{"http": map[string]any{"paths": []any{
		map[string]any{"path": path, "pathType": "Prefix", "backend": backend},
	}}}
	if host := r.Settings.Ingress.Host; host != "" {
		rule["host"] = host
	}
	return rule
}
