package install

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube"
)

// RenderOptions say in which form, and where.
type RenderOptions struct {
	Offline   bool   // for a current Kubernetes, without asking the cluster
	Kustomize string // folder of a kustomization; "" is none
	Helm      string // folder of a chart; "" is none
	NoSecrets bool   // leave Secrets out of these folders
	Progress  *Progress
}

// RenderResult is where the manifests are.
type RenderResult struct {
	Path    string   `json:"path"`
	Files   []string `json:"files"`
	Secrets bool     `json:"secrets"` // some of the files hold secrets
}

// Render writes the manifests of a launch: to its rendered folder as a deploy
// would apply them, or to a folder for a GitOps tool. It asks the cluster for
// its API versions, or with o.Offline takes those of a current one.
func Render(ctx context.Context, f Folder, o RenderOptions) (*RenderResult, error) {
	var spare []string
	if o.Offline {
		spare = []string{"stage.kubernetes.kubeconfig_path"}
	}
	s, err := open(ctx, f, "render", o.Progress, spare...)
	if err != nil {
		return nil, err
	}
	defer s.close()
	apis := kube.LatestAPIs()
	if !o.Offline {
		cluster, err := s.connect(ctx)
		if err != nil {
			return nil, err
		}
		apis = cluster.APIs
	}
	in, err := s.input(apis)
	if err != nil {
		return nil, err
	}
	// A GitOps tool applies all at once: names that stay let Deployments roll.
	in.Stable = o.Kustomize != "" || o.Helm != ""
	objects, err := kube.Render(in)
	if err != nil {
		return nil, wrap(err, CodeFailed, "render the manifests")
	}
	switch {
	case o.Kustomize != "":
		return writeKustomize(o.Kustomize, s.forGit(objects, o))
	case o.Helm != "":
		return s.writeHelm(o.Helm, s.forGit(objects, o))
	}
	if err := writeRendered(f, objects); err != nil {
		return nil, err
	}
	result := &RenderResult{Path: f.Path("rendered"), Secrets: true}
	for i, object := range objects {
		result.Files = append(result.Files, filepath.Join(result.Path, renderedName(i, object)))
	}
	return result, nil
}

// forGit leaves Secrets out when they are not wanted.
func (s *session) forGit(objects []*unstructured.Unstructured, o RenderOptions) []*unstructured.Unstructured {
	var kept []*unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() != "Secret" || !o.NoSecrets {
			kept = append(kept, object)
		}
	}
	return kept
}

// renderedName sorts the files into the order of their application.
func renderedName(i int, object *unstructured.Unstructured) string {
	return fmt.Sprintf("%03d-%s-%s.yaml", i, strings.ToLower(object.GetKind()), object.GetName())
}

func writeRendered(f Folder, objects []*unstructured.Unstructured) error {
	dir := f.Path("rendered")
	if err := os.RemoveAll(dir); err != nil {
		return wrap(err, CodeFailed, "write the manifests")
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return wrap(err, CodeFailed, "write the manifests")
	}
	for i, object := range objects {
		data, err := kube.YAML(object)
		if err != nil {
			return wrap(err, CodeFailed, "write the manifests")
		}
		if err := os.WriteFile(filepath.Join(dir, renderedName(i, object)), data, fileMode); err != nil {
			return wrap(err, CodeFailed, "write the manifests")
		}
	}
	return nil
}
