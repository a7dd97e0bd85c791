package placement

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	kjson "sigs.k8s.io/json"
)

// field is one key of a placement.
type field struct {
	name  string
	about string
	part  func(*Placement) any          // the part of a placement that it is
	check func(*Placement) error        // what its type does not say; the error has no subject
	brief func(text string) (any, bool) // how a terminal writes it, besides YAML
}

var fields = []field{
	{"node_selector", "labels of the nodes that pods run on", func(p *Placement) any { return &p.NodeSelector }, func(p *Placement) error { return labelsFit(p.NodeSelector) }, briefMap},
	{"tolerations", "taints that pods bear, as KEY[=VALUE][:EFFECT] with commas between them, or a list as Kubernetes has it", func(p *Placement) any { return &p.Tolerations }, checkTolerations, briefTolerations},
	{"affinity", "nodes and pods that pods want or shun, as Kubernetes has it", func(p *Placement) any { return &p.Affinity }, checkAffinity, nil},
	{"priority_class", "the pods' PriorityClass", func(p *Placement) any { return &p.PriorityClass }, func(p *Placement) error { return isObjectName(p.PriorityClass) }, nil},
	{"runtime_class", "the pods' RuntimeClass", func(p *Placement) any { return &p.RuntimeClass }, func(p *Placement) error { return isObjectName(p.RuntimeClass) }, nil},
	{"spread", "how pods spread in place of over nodes: topology keys with commas between them, or constraints as Kubernetes has them", func(p *Placement) any { return &p.Spread }, checkSpread, briefSpread},
	{"gpu_resource", "the resource that a GPU is here, if not nvidia.com/gpu, such as amd.com/gpu", func(p *Placement) any { return &p.GPUResource }, checkGPUResource, nil},
	{"pull_policy", "when images are pulled: IfNotPresent, Always, Never", func(p *Placement) any { return &p.PullPolicy }, checkPullPolicy, nil},
	{"service_account", "a ServiceAccount of the namespace, for algorithms", func(p *Placement) any { return &p.ServiceAccount }, func(p *Placement) error { return isObjectName(p.ServiceAccount) }, nil},
	{"labels", "further labels of pods and what makes them", func(p *Placement) any { return &p.Labels }, func(p *Placement) error { return ownLabels(p.Labels) }, briefMap},
	{"annotations", "further annotations of pods", func(p *Placement) any { return &p.Annotations }, func(p *Placement) error { return annotationsFit(p.Annotations) }, briefMap},
	{"service_labels", "further labels of Services", func(p *Placement) any { return &p.ServiceLabels }, func(p *Placement) error { return ownLabels(p.ServiceLabels) }, briefMap},
	{"service_annotations", "further annotations of Services", func(p *Placement) any { return &p.ServiceAnnotations }, func(p *Placement) error { return annotationsFit(p.ServiceAnnotations) }, briefMap},
	{"host_aliases", "names that pods know addresses by, as Kubernetes has it", func(p *Placement) any { return &p.HostAliases }, checkHostAliases, nil},
	{"dns_policy", "where pods ask for names: ClusterFirst, Default, None", func(p *Placement) any { return &p.DNSPolicy }, checkDNS, nil},
	{"dns_config", "further name servers and search domains, as Kubernetes has it", func(p *Placement) any { return &p.DNSConfig }, checkDNSConfig, nil},
	{"mesh", "a service mesh's proxy beside the pods: on, off; unset leaves it to the namespace", func(p *Placement) any { return &p.Mesh }, checkMesh, nil},
}

// Fields returns the names of all keys of a placement.
func Fields() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// About says of a field what it is, and whether keys are beneath it that the
// operator chooses.
func About(name string) (about string, isMap bool) {
	f, _ := fieldOf(name)
	return f.about, f.isMap()
}

func fieldOf(name string) (field, bool) {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return fields[i], true
}

func (f field) isMap() bool {
	if f.part == nil {
		return false
	}
	_, ok := f.part(&Placement{}).(*map[string]string)
	return ok
}

// isWord reports whether the field is one word, not a list or a mapping.
func (f field) isWord() bool {
	return reflect.TypeOf(f.part(&Placement{})).Elem().Kind() == reflect.String
}

// decode reads one placement, whose keys are beneath where.
func decode(where string, values map[string]any) (Placement, error) {
	var p Placement
	for _, key := range slices.Sorted(maps.Keys(values)) {
		f, ok := fieldOf(key)
		if !ok {
			return p, unknown(where, key, Fields())
		}
		if err := f.decode(&p, values[key]); err != nil {
			return p, fmt.Errorf("%s.%s %w", where, key, err)
		}
	}
	return p, nil
}

// decode reads one field strictly, by the types that Kubernetes itself has.
func (f field) decode(p *Placement, value any) error {
	if value == nil {
		return nil
	}
	data, err := json.Marshal(value)
	if err != nil {
		return errors.New("has a key that is no word: write it in quotes")
	}
	strict, err := kjson.UnmarshalStrict(data, f.part(p))
	if err != nil {
		return f.wrongType(err)
	}
	if len(strict) > 0 {
		return f.unknownField(strict[0])
	}
	return f.check(p)
}

// wrongType says of a value that it is of another type than the field.
func (f field) wrongType(err error) error {
	wrong := (*json.UnmarshalTypeError)(nil)
	if !errors.As(err, &wrong) {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if wrong.Type.Kind() == reflect.String && (wrong.Value == "number" || wrong.Value == "bool") {
		return fmt.Errorf("has a %s where a word is wanted: write it in quotes, such as \"1\" or \"true\"", wrong.Value)
	}
	if wrong.Field != "" {
		return fmt.Errorf("has a %s at %s, where Kubernetes wants %s", wrong.Value, wrong.Field, kindOf(wrong.Type))
	}
	return fmt.Errorf("is %s; not a %s", kindOf(reflect.TypeOf(f.part(&Placement{})).Elem()), wrong.Value)
}

// kindOf says in the words of YAML what a type is.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "a mapping"
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.String:
		return "a word"
	case reflect.Bool:
		return "true or false"
	}
	return "a whole number"
}

// unknownField names a field that Kubernetes does not have, and the nearest
// that it has.
func (f field) unknownField(err error) error {
	path := err.Error()
	if e := kjson.FieldError(nil); errors.As(err, &e) {
		path = e.FieldPath()
	}
	known := map[string]bool{}
	tags(reflect.TypeOf(f.part(&Placement{})), known)
	name := path[strings.LastIndex(path, ".")+1:]
	if known[name] {
		return fmt.Errorf("has %s twice, or where it does not belong", path)
	}
	return fmt.Errorf("has %s, which Kubernetes does not know there; did you mean %s", path, constellation.Nearest(name, slices.Sorted(maps.Keys(known))))
}

// tags collects the JSON names of all fields that a type has at any depth.
func tags(t reflect.Type, into map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		tags(t.Elem(), into)
	case reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if name != "" && !into[name] {
				into[name] = true
				tags(t.Field(i).Type, into)
			}
		}
	}
}
