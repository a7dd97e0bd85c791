package preflight

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// What an API server takes of one object.
const (
	largestData        = 1 << 20   // the values of a ConfigMap or Secret
	largestAnnotations = 256 << 10 // names and values
)

// sizes measures all that a deploy would write. What is too large is refused
// here and not by the server, half-way through.
func (p *preflight) sizes(old *apply.Inventory) {
	const name = "size"
	if p.objects == nil {
		return
	}
	inventory, _ := apply.NextInventory(p.input.Plan, false, old, apply.ObjectsOf(p.objects))
	written := p.objects
	if object, err := apply.InventoryObject(p.input.Plan, p.namespaceName(), inventory); err == nil {
		written = append(written[:len(written):len(written)], object)
	}
	var largest int
	for _, object := range written {
		data, annotations := sizeOf(object)
		largest = max(largest, data)
		if data > largestData {
			p.note(name, Problem, p.smaller(object), "%s would hold %s, and a cluster takes %s", render.Name(object), mebibytes(data), mebibytes(largestData))
		}
		if annotations > largestAnnotations {
			p.note(name, Problem, "shorten its annotations, such as stage.ingress.annotations", "%s would have %s of annotations, and a cluster takes %s",
				render.Name(object), mebibytes(annotations), mebibytes(largestAnnotations))
		}
	}
	if _, err := apply.HistoryConfigMap(p.input.Plan, p.namespaceName(), p.objects); errors.Is(err, apply.ErrTooLarge) {
		p.note(name, Warning, "", "version %d is too large to be kept for a rollback", p.input.Plan.Satellite.Version)
	}
	if !p.has(name) {
		p.note(name, OK, "", "every object fits; the largest holds %s of %s", mebibytes(largest), mebibytes(largestData))
	}
}

// smaller says what the operator can do about an object's size.
func (p *preflight) smaller(object *unstructured.Unstructured) string {
	switch {
	case render.Name(object) == "Secret/"+render.EngineName:
		return "revoke keys of the satellite that nobody uses, or make keys that are limited to fewer algorithms; then get and deploy again. " +
			"A deploy takes revoked keys out of the cluster all the same"
	case render.Name(object) == "ConfigMap/"+render.EngineName && len(p.input.Settings.MothershipCA) > largestData/4:
		return "let stage.mothership.ca_file have the mothership's own authority only"
	case render.Name(object) == "ConfigMap/"+render.EngineName:
		return "divide the satellite's algorithms among two satellites; then get and deploy again"
	case render.Name(object) == "ConfigMap/"+render.InventoryName:
		return "too much is left of deploys that failed: 'rollback' to the version that serves takes it away"
	}
	return "make what it is rendered from smaller"
}

// sizeOf returns the bytes that a server counts.
func sizeOf(object *unstructured.Unstructured) (data, annotations int) {
	values, _, _ := unstructured.NestedMap(object.Object, "data")
	for _, value := range values {
		text, _ := value.(string)
		if object.GetKind() == "Secret" {
			data += base64.StdEncoding.DecodedLen(len(text))
		} else {
			data += len(text)
		}
	}
	for key, value := range maps.All(object.GetAnnotations()) {
		annotations += len(key) + len(value)
	}
	return data, annotations
}

// mebibytes writes a size as people read it.
func mebibytes(n int) string {
	if n < largestData {
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/largestData)
}
