package manifests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// gitFolder is a folder for a GitOps tool, as it is written.
type gitFolder struct {
	result *Result
	files  store.Tree
}

// newGitFolder makes the folder. One that has something else in it is left
// alone; one of ours is written anew, without files of objects that are gone.
func newGitFolder(path, owner, below string) (*gitFolder, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeUsage, "write to %s", path)
	}
	entries, err := os.ReadDir(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, fault.Wrap(err, fault.CodeFailed, "write to %s", path)
	}
	files := store.NewTree(path)
	if data, err := files.ReadFile(owner); len(entries) > 0 && (err != nil || !bytes.Contains(data, []byte(renderedBy))) {
		return nil, fault.Errorf(fault.CodeUsage, "%s has files that render did not write; name an empty folder", path)
	}
	if err := os.MkdirAll(path, store.DirMode); err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write to %s", path)
	}
	if err := files.RemoveAll(below); err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write to %s", path)
	}
	return &gitFolder{&Result{Path: path}, files}, nil
}

// renderedBy begins the file by which a folder of ours is known.
const renderedBy = "# Written by 'algo-install … render'; edits are lost when it runs again.\n"

func (g *gitFolder) write(name string, data []byte) error {
	if err := g.files.ReplaceFile(name, data); err != nil {
		return fault.Wrap(err, fault.CodeFailed, "write the manifests")
	}
	g.result.Files = append(g.result.Files, g.files.Path(name))
	return nil
}

func fileOf(object *unstructured.Unstructured) string {
	return strings.ToLower(render.KindName(object.GetAPIVersion(), object.GetKind())) + "-" + object.GetName() + ".yaml"
}

// WriteKustomize writes a kustomization with a file an object.
func WriteKustomize(path string, objects []*unstructured.Unstructured) (*Result, error) {
	g, err := newGitFolder(path, "kustomization.yaml", "manifests")
	if err != nil {
		return nil, err
	}
	var resources []string
	for _, object := range objects {
		data, err := render.YAML(object)
		if err != nil {
			return nil, fault.Wrap(err, fault.CodeFailed, "write the manifests")
		}
		name := "manifests/" + fileOf(object)
		if err := g.write(name, data); err != nil {
			return nil, err
		}
		resources = append(resources, name)
		g.result.Secrets = g.result.Secrets || object.GetKind() == "Secret"
	}
	document, err := yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources,
	})
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write the manifests")
	}
	return g.result, g.write("kustomization.yaml", append([]byte(renderedBy), document...))
}

// WriteHelm writes a chart: the release's namespace is the launch's, and
// values.yaml has the replicas of each algorithm.
func WriteHelm(path string, plan *bundle.Plan, objects []*unstructured.Unstructured) (*Result, error) {
	g, err := newGitFolder(path, "Chart.yaml", "templates")
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	for _, object := range objects {
		data, err := chartTemplate(object, values)
		if err != nil {
			return nil, err
		}
		if err := g.write("templates/"+fileOf(object), data); err != nil {
			return nil, err
		}
		g.result.Secrets = g.result.Secrets || object.GetKind() == "Secret"
	}
	chart, err := yaml.Marshal(map[string]any{
		"apiVersion": "v2", "type": "application", "name": "satellite-" + plan.Satellite.ID,
		"description": fmt.Sprintf("Satellite %s, launch %s", plan.Satellite.Name, plan.Launch.ID),
		"version":     "0.0." + strconv.Itoa(plan.Satellite.Version), "appVersion": strconv.Itoa(plan.Satellite.Version),
	})
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write the chart")
	}
	document, err := yaml.Marshal(map[string]any{"replicas": values})
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write the chart")
	}
	if err := g.write("values.yaml", append([]byte("# Replicas by vanity URL.\n"), document...)); err != nil {
		return nil, err
	}
	return g.result, g.write("Chart.yaml", append([]byte(renderedBy), chart...))
}

const (
	namespaceMark = "CONSTELLATION-NAMESPACE"
	replicasMark  = "CONSTELLATION-REPLICAS"
)

var marks = regexp.MustCompile(namespaceMark + `|` + replicasMark)

// chartTemplate is an object as a template of a chart: what it says in braces
// stays as it is.
func chartTemplate(object *unstructured.Unstructured, values map[string]any) ([]byte, error) {
	marked := object.DeepCopy()
	marked.SetNamespace(namespaceMark)
	if subjects, ok, _ := unstructured.NestedSlice(marked.Object, "subjects"); ok { // of a RoleBinding
		for _, subject := range subjects {
			if m, ok := subject.(map[string]any); ok {
				m["namespace"] = namespaceMark
			}
		}
		if err := unstructured.SetNestedSlice(marked.Object, subjects, "subjects"); err != nil {
			return nil, fault.Wrap(err, fault.CodeFailed, "write the chart")
		}
	}
	vanity := object.GetAnnotations()["constellation/vanity-url"]
	if n, ok, _ := unstructured.NestedInt64(object.Object, "spec", "replicas"); ok && vanity != "" {
		values[vanity] = n
		if err := unstructured.SetNestedField(marked.Object, replicasMark, "spec", "replicas"); err != nil {
			return nil, fault.Wrap(err, fault.CodeFailed, "write the chart")
		}
	}
	data, err := render.YAML(marked)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write the chart")
	}
	text := strings.ReplaceAll(string(data), "{{", `{{ "{{" }}`)
	text = marks.ReplaceAllStringFunc(text, func(mark string) string {
		if mark == namespaceMark {
			return "{{ .Release.Namespace }}"
		}
		return fmt.Sprintf("{{ index .Values.replicas %q }}", vanity)
	})
	return []byte(text), nil
}
