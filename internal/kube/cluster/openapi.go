package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

// domainPolicies returns the API of Calico's policies where their rules have domains.
// Every Calico may serve the same group and kind, and only the schema tells whether
// it is one that knows names. A server that does not show the schema, as those before
// Kubernetes 1.24, is taken for one that does not.
func domainPolicies(ctx context.Context, client discovery.DiscoveryInterface, groups *metav1.APIGroupList) (string, error) {
	api, err := served(ctx, client, groups, render.DomainPolicyAPI, "networkpolicies")
	if api == "" || err != nil {
		return "", err
	}
	data, err := client.RESTClient().Get().AbsPath("/openapi/v3/apis/"+api).SetHeader("Accept", "application/json").DoRaw(ctx)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsNotAcceptable(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("ask the cluster for the schema of %s: %w", api, err)
	}
	var document openAPI
	if json.Unmarshal(data, &document) != nil || !document.has(api, render.DomainPolicyKind, "spec", "egress", "[]", "destination", "domains") {
		return "", nil
	}
	return api, nil
}

// openAPI is as much of an OpenAPI 3 document as says which fields a kind has.
type openAPI struct {
	Components struct {
		Schemas map[string]*field `json:"schemas"`
	} `json:"components"`
}

type field struct {
	Ref        string            `json:"$ref"`
	AllOf      []*field          `json:"allOf"`
	Properties map[string]*field `json:"properties"`
	Items      *field            `json:"items"`
	Kinds      []struct {
		Group   string `json:"group"`
		Version string `json:"version"`
		Kind    string `json:"kind"`
	} `json:"x-kubernetes-group-version-kind"`
}

// has reports whether a kind has a field; "[]" in its path is for a list's items.
func (d *openAPI) has(apiVersion, kind string, path ...string) bool {
	for _, s := range d.Components.Schemas {
		for _, is := range s.Kinds {
			if is.Group+"/"+is.Version == apiVersion && is.Kind == kind && d.reaches(s, path, maxReferences) {
				return true
			}
		}
	}
	return false
}

// maxReferences is how often a schema may refer to another one on the way.
const maxReferences = 32

func (d *openAPI) reaches(s *field, path []string, references int) bool {
	switch {
	case s == nil || references == 0:
		return false
	case len(path) == 0:
		return true
	case s.Ref != "":
		return d.reaches(d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")], path, references-1)
	}
	for _, part := range s.AllOf {
		if d.reaches(part, path, references-1) {
			return true
		}
	}
	if path[0] == "[]" {
		return d.reaches(s.Items, path[1:], references)
	}
	return d.reaches(s.Properties[path[0]], path[1:], references)
}
