package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// AnnotationIngressClass is the class where no ingressClassName can be: on
// Kubernetes 1.18, and for class names with a slash.
const AnnotationIngressClass = "kubernetes.io/ingress.class"

// callSeconds is the longest that a call may take: the greatest time-out that
// a caller can ask for.
const callSeconds = "3000"

// routedPaths are what callers from outside reach: calls, the same for pages in
// browsers, what became of asynchronous calls and batches, and the satellite's
// status.
var routedPaths = []string{"/v1/algo/", "/v1/web/algo/", "/v1/async/", "/v1/batch/", "/v1/status"}

// provider is what one ingress controller wants: its usual class, its
// annotations and what stands behind a path with more below it.
type provider struct {
	class       string
	annotations map[string]string
	below       string
}

// paths are the routed paths in the controller's form.
func (p provider) paths() []string {
	paths := slices.Clone(routedPaths)
	for i, path := range paths {
		if strings.HasSuffix(path, "/") {
			paths[i] += p.below
		}
	}
	return paths
}

func providerOf(name string) provider {
	p := provider{}
	switch name {
	case "nginx":
		p.class = "nginx"
		p.annotations = map[string]string{
			// The engine bounds a call's body itself, and a batch's has no bound:
			// it is passed on as it comes.
			"nginx.ingress.kubernetes.io/proxy-body-size":         "0",
			"nginx.ingress.kubernetes.io/proxy-request-buffering": "off",
			"nginx.ingress.kubernetes.io/proxy-read-timeout":      callSeconds,
			"nginx.ingress.kubernetes.io/proxy-send-timeout":      callSeconds,
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
		p.below = "*"
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

// IngressClass returns the class that the Ingress asks for, "" for the
// cluster's default.
func (i Ingress) IngressClass() string {
	if i.Class != "" {
		return i.Class
	}
	return providerOf(i.Provider).class
}

// classByAnnotation reports whether the class cannot be an ingressClassName.
func (r *renderer) classByAnnotation() bool {
	return r.APIs.Ingress != "networking.k8s.io/v1" ||
		r.Settings.Ingress.Provider == "agic" && r.Settings.Ingress.Class == ""
}

// ingress adds the Ingress, by which callers from outside reach the engine.
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
	spec := map[string]any{"rules": []any{r.ingressRule(p.paths())}}
	switch {
	case class == "":
	case r.classByAnnotation():
		annotations[AnnotationIngressClass] = class
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
	if r.viaTLS() {
		maps.Copy(annotations, viaTLSAnnotations(in.Provider))
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

func (r *renderer) ingressRule(paths []string) map[string]any {
	backend := map[string]any{"service": map[string]any{"name": EngineName, "port": map[string]any{"number": r.ingressPort()}}}
	if r.APIs.Ingress != "networking.k8s.io/v1" {
		backend = map[string]any{"serviceName": EngineName, "servicePort": r.ingressPort()}
	}
	routed := make([]any, len(paths))
	for i, path := range paths {
		routed[i] = map[string]any{"path": path, "pathType": "Prefix", "backend": backend}
	}
	rule := map[string]any{"http": map[string]any{"paths": routed}}
	if host := r.Settings.Ingress.Host; host != "" {
		rule["host"] = host
	}
	return rule
}
