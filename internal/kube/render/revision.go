package render

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// nameAlgorithms names each algorithm's objects by its vanity URL and a hash of
// all that its pods are made from. So an algorithm that changes comes up under
// a new name beside the old one, which serves untouched until every engine has
// the new routes; and one that does not change keeps its name and its pods.
func (r *renderer) nameAlgorithms() error {
	r.names = map[string]string{}
	for _, a := range r.Plan.Algorithms {
		if err := r.CheckPodSettings(a); err != nil {
			return fmt.Errorf("what %s is given beside its image: %w", a.VanityURL, err)
		}
		name := AlgorithmName(a.VanityURL)
		if !r.Stable {
			revision, err := r.revision(a)
			if err != nil {
				return err
			}
			name += "-" + revision
		}
		r.names[a.VanityURL] = name
	}
	return r.err
}

// revision leaves out replicas, which a Deployment changes without a restart.
func (r *renderer) revision(a bundle.Algorithm) (string, error) {
	pod := r.algorithmPod(a)
	r.finish(&pod, r.Settings.Placement.Of(a.VanityURL), nil)
	data, err := json.Marshal(struct {
		Pod, Runtime any
	}{pod, a.Runtime.WithDefaults()})
	if err != nil {
		return "", fmt.Errorf("render %s: %w", a.VanityURL, err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:revisionLength-1], nil
}

// AnnotationDigest is on every applied object: the hash of what was applied.
// With it and the values that are there, a later deploy knows that an object
// is as it should be without asking the server to try.
const AnnotationDigest = "constellation/digest"

// Seal notes an object's own hash. The satellite's version is left out: an
// object that is otherwise the same is not written again for it.
func Seal(object *unstructured.Unstructured) error {
	copied := object.DeepCopy()
	labels := copied.GetLabels()
	delete(labels, LabelVersion)
	copied.SetLabels(labels)
	data, err := json.Marshal(copied.Object)
	if err != nil {
		return fmt.Errorf("render %s: %w", Name(object), err)
	}
	sum := sha256.Sum256(data)
	annotations := maps.Clone(object.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationDigest] = hex.EncodeToString(sum[:])[:16]
	object.SetAnnotations(annotations)
	return nil
}
