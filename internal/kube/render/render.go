package render

import (
	"fmt"
	"maps"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// Launch makes every object of a launch but its inventory, in the order in
// which they are applied. The same input gives the same objects.
func Launch(in Input) ([]*unstructured.Unstructured, error) {
	r := renderer{Input: in}
	if err := r.nameAlgorithms(); err != nil {
		return nil, err
	}
	r.add(r.accounts()...)
	if err := r.configuration(); err != nil {
		return nil, err
	}
	r.add(r.networkPolicies()...)
	for _, a := range in.Plan.Algorithms {
		r.fqdnPolicy(a)
	}
	for _, a := range in.Plan.Algorithms {
		r.add(r.algorithmService(a))
	}
	r.add(r.engineService())
	r.metrics()
	r.budgets()
	r.queue()
	for _, a := range in.Plan.Algorithms {
		r.add(r.algorithmDeployment(a))
	}
	r.add(r.engineDeployment())
	r.ingress()
	if r.err != nil {
		return nil, r.err
	}
	if !in.Stable {
		for _, object := range r.objects {
			if err := Seal(object); err != nil {
				return nil, err
			}
		}
	}
	return r.objects, nil
}

// Namespace makes the namespace, for stage.kubernetes.create_namespace.
// No inventory holds it: a namespace is never pruned.
func Namespace(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}
}

// renderer collects objects and the first error.
type renderer struct {
	Input
	objects []*unstructured.Unstructured
	names   map[string]string // of each algorithm's objects, by vanity URL
	err     error
}

// add turns typed objects, kind and version set, into what is sent.
func (r *renderer) add(objects ...runtime.Object) {
	for _, object := range objects {
		if r.err != nil {
			return
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			r.err = fmt.Errorf("render %T: %w", object, err)
			return
		}
		delete(content, "status")
		tidy(content)
		r.objects = append(r.objects, &unstructured.Unstructured{Object: content})
	}
}

// tidy drops what typed objects write although it is not set: applying it
// would claim fields that are not ours.
func tidy(content map[string]any) {
	for key, value := range content {
		switch v := value.(type) {
		case nil:
			delete(content, key)
		case map[string]any:
			tidy(v)
			if len(v) == 0 && (key == "strategy" || key == "resources" || key == "status") {
				delete(content, key)
			}
		case []any:
			for _, item := range v {
				if m, ok := item.(map[string]any); ok {
					tidy(m)
				}
			}
		}
	}
}

// meta is the metadata of one of the launch's objects.
func (r *renderer) meta(name, component string) metav1.ObjectMeta {
	labels := r.podLabels(name, component)
	labels[LabelVersion] = strconv.Itoa(r.Plan.Satellite.Version)
	return metav1.ObjectMeta{Name: name, Namespace: r.Settings.Namespace, Labels: labels}
}

// serviceMeta is the metadata of a Service of the pods that who names.
func (r *renderer) serviceMeta(name, component, who string) metav1.ObjectMeta {
	meta := r.meta(name, component)
	r.Settings.Placement.Of(who).Service(&meta)
	return meta
}

// podLabels leave the satellite's version out: pods restart when what they
// run changes, not when a neighbour does.
func (r *renderer) podLabels(name, component string) map[string]string {
	return LaunchLabels(r.Plan, name, component)
}

// LaunchLabels returns the labels by which an object of a launch is known,
// without the satellite's version.
func LaunchLabels(plan *bundle.Plan, name, component string) map[string]string {
	labels := selectorLabels(plan, name)
	maps.Copy(labels, map[string]string{
		"app.kubernetes.io/component":  component,
		"app.kubernetes.io/part-of":    "constellation",
		"app.kubernetes.io/managed-by": FieldManager,
		LabelSatellite:                 plan.Satellite.ID,
		LabelLaunch:                    plan.Launch.ID,
	})
	return labels
}

// selector returns the labels of one Deployment's pods; it never changes.
func (r *renderer) selector(name string) map[string]string { return selectorLabels(r.Plan, name) }

func selectorLabels(plan *bundle.Plan, name string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/instance": plan.Launch.ID}
}

func (r *renderer) image(image bundle.Image) string { return r.Images[image.Digest] }
