package manifests

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Result is where the manifests are.
type Result struct {
	Path    string   `json:"path"`
	Files   []string `json:"files"`
	Secrets bool     `json:"secrets"` // some of the files hold secrets
}

// WithoutSecrets returns the objects that are no Secrets.
func WithoutSecrets(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	var kept []*unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() != "Secret" {
			kept = append(kept, object)
		}
	}
	return kept
}

// renderedName sorts the files into the order of their application.
func renderedName(i int, object *unstructured.Unstructured) string {
	return fmt.Sprintf("%03d-%s-%s.yaml", i, strings.ToLower(render.KindName(object.GetAPIVersion(), object.GetKind())), object.GetName())
}

// WriteRendered writes objects to the launch's rendered folder, a file an object
// in the order of their application, and replaces what was there.
func WriteRendered(f store.Folder, objects []*unstructured.Unstructured) (*Result, error) {
	dir := f.Tree("rendered")
	err := f.MakeNotes("rendered")
	if err == nil {
		err = errors.Join(dir.RemoveAll("rendered"), dir.MkdirAll("rendered"))
	}
	if err != nil {
		return nil, f.NoteError(err, "write the manifests")
	}
	result := &Result{Path: f.Path("rendered"), Secrets: true}
	for i, object := range objects {
		data, err := render.YAML(object)
		if err != nil {
			return nil, fault.Wrap(err, fault.CodeFailed, "write the manifests")
		}
		name := renderedName(i, object)
		if err := dir.ReplaceFile("rendered/"+name, data); err != nil {
			return nil, fault.Wrap(err, fault.CodeFailed, "write the manifests")
		}
		result.Files = append(result.Files, filepath.Join(result.Path, name))
	}
	return result, nil
}
