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

// RenderResult is where the manifests are.
type RenderResult struct {
	Path  string   `json:"path"`
	Files []string `json:"files"`
}

// Render writes the manifests of a launch to its rendered folder. It asks the
// cluster for its API versions, or with offline takes those of a current one.
func Render(ctx context.Context, f Folder, offline bool, progress *Progress) (*RenderResult, error) {
	s, err := open(ctx, f, "render", progress)
	if err != nil {
		return nil, err
	}
	defer s.close()
	apis := kube.LatestAPIs()
	if !offline {
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
	objects, err := kube.Render(in)
	if err != nil {
		return nil, wrap(err, CodeFailed, "render the manifests")
	}
	if err := writeRendered(f, objects); err != nil {
		return nil, err
	}
	result := &RenderResult{Path: f.Path("rendered")}
	for i, object := range objects {
		result.Files = append(result.Files, filepath.Join(result.Path, renderedName(i, object)))
	}
	return result, nil
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
	for i, object := range objects {
		data, err := kube.YAML(object)
		if err != nil {
			return wrap(err, CodeFailed, "write the manifests")
		}
		if err := os.MkdirAll(dir, dirMode); err != nil {
			return wrap(err, CodeFailed, "write the manifests")
		}
		if err := os.WriteFile(filepath.Join(dir, renderedName(i, object)), data, fileMode); err != nil {
			return wrap(err, CodeFailed, "write the manifests")
		}
	}
	return nil
}
