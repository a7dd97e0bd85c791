package launchtest

import (
	"context"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"
)

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// Serve makes the server serve a kind of somebody else's, whose spec has the
// fields of a schema and no other. It is the whole server that serves it from
// then on, for all tests of the package.
func (s *Space) Serve(t *testing.T, apiVersion, kind string, fields map[string]any) {
	t.Helper()
	group, version, _ := strings.Cut(apiVersion, "/")
	plural := strings.ToLower(kind) + "s"
	if strings.HasSuffix(kind, "y") {
		plural = strings.TrimSuffix(strings.ToLower(kind), "y") + "ies"
	}
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + "." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced",
			"names": map[string]any{"kind": kind, "listKind": kind + "List", "plural": plural, "singular": strings.ToLower(kind)},
			"versions": []any{map[string]any{"name": version, "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": map[string]any{
				"type": "object", "properties": map[string]any{"spec": map[string]any{"type": "object", "properties": fields}},
			}}}},
		},
	}}
	_, err := s.Dynamic.Resource(definitions).Create(t.Context(), definition, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		err = s.serveOther(t.Context(), definition)
	}
	if err != nil {
		t.Fatal(err)
	}
	served := s.Dynamic.Resource(schema.GroupVersionResource{Group: group, Version: version, Resource: plural}).Namespace(s.Namespace)
	s.Eventually(t, "the server serves "+kind, func() bool {
		_, err := served.List(t.Context(), metav1.ListOptions{})
		return err == nil
	})
	s.Eventually(t, "the server tells that it serves "+kind, func() bool {
		groups, err := s.Admin.Discovery().ServerGroups()
		if err != nil || !slices.ContainsFunc(groups.Groups, func(g metav1.APIGroup) bool { return g.Name == group }) {
			return false
		}
		list, err := s.Admin.Discovery().ServerResourcesForGroupVersion(apiVersion)
		return err == nil && slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == plural })
	})
	s.Cluster = Connect(t, s.Kubeconfig, s.Namespace)
}

// serveOther gives a kind that is served already the fields of another definition.
func (s *Space) serveOther(ctx context.Context, definition *unstructured.Unstructured) error {
	client := s.Dynamic.Resource(definitions)
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		there, err := client.Get(ctx, definition.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
		if err := unstructured.SetNestedSlice(there.Object, versions, "spec", "versions"); err != nil {
			return err
		}
		_, err = client.Update(ctx, there, metav1.UpdateOptions{})
		return err
	})
}

// ServeDomainPolicies makes the server serve Calico's NetworkPolicy, with as much of
// its schema as a launch has use for. Only Calico Enterprise's has domains.
func (s *Space) ServeDomainPolicies(t *testing.T, domains bool) {
	t.Helper()
	text := map[string]any{"type": "string"}
	texts := map[string]any{"type": "array", "items": text}
	destination := map[string]any{"nets": texts, "ports": map[string]any{"type": "array", "items": map[string]any{"x-kubernetes-int-or-string": true}}}
	if domains {
		destination["domains"] = texts
	}
	s.Serve(t, "projectcalico.org/v3", "NetworkPolicy", map[string]any{
		"tier": text, "selector": text, "types": texts,
		"egress": map[string]any{"type": "array", "items": map[string]any{"type": "object", "properties": map[string]any{
			"action": map[string]any{"type": "string", "enum": []any{"Allow", "Deny", "Log", "Pass"}}, "protocol": text,
			"destination": map[string]any{"type": "object", "properties": destination},
		}}},
	})
}

// ServeFQDNPolicies makes the server serve Cilium's policies, with as much of
// their schema as a launch has use for.
func (s *Space) ServeFQDNPolicies(t *testing.T) {
	t.Helper()
	text := map[string]any{"type": "string"}
	list := func(of map[string]any) map[string]any { return map[string]any{"type": "array", "items": of} }
	object := func(fields map[string]any) map[string]any {
		return map[string]any{"type": "object", "properties": fields}
	}
	ports := list(object(map[string]any{
		"ports": list(object(map[string]any{"port": text, "protocol": map[string]any{"type": "string", "enum": []any{"TCP", "UDP", "ANY"}}})),
		"rules": object(map[string]any{"dns": list(object(map[string]any{"matchPattern": text}))}),
	}))
	s.Serve(t, "cilium.io/v2", "CiliumNetworkPolicy", map[string]any{
		"endpointSelector": object(map[string]any{"matchLabels": map[string]any{"type": "object", "additionalProperties": text}}),
		"egress":           list(object(map[string]any{"toPorts": ports, "toFQDNs": list(object(map[string]any{"matchName": text}))})),
		"egressDeny":       list(object(map[string]any{"toPorts": ports, "toCIDR": list(text)})),
	})
}

// ServeMonitors makes the server serve the Prometheus Operator's ServiceMonitor and
// PodMonitor, with as much of their schemas as a launch has use for.
func (s *Space) ServeMonitors(t *testing.T) {
	t.Helper()
	text := map[string]any{"type": "string"}
	for kind, endpoints := range map[string]string{"ServiceMonitor": "endpoints", "PodMonitor": "podMetricsEndpoints"} {
		s.Serve(t, "monitoring.coreos.com/v1", kind, map[string]any{
			"selector": map[string]any{"type": "object", "properties": map[string]any{"matchLabels": map[string]any{"type": "object", "additionalProperties": text}}},
			endpoints:  map[string]any{"type": "array", "items": map[string]any{"type": "object", "properties": map[string]any{"port": text, "path": text}}},
		})
	}
}
