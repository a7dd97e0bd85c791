package placement

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Names by which stage.placement knows the satellite's own pods. No vanity URL
// is a single word.
const (
	Engine = "engine"
	Queue  = "queue"
)

// Root is the key beneath which all of it is configured.
const Root = "stage.placement"

// Values of Placement.Mesh.
const (
	MeshOn  = "on"
	MeshOff = "off"
)

// Placement is where pods of one kind run, and as what. What is not set is
// left to what the launch has anyway.
type Placement struct {
	NodeSelector       map[string]string
	Tolerations        []corev1.Toleration
	Affinity           *corev1.Affinity
	PriorityClass      string
	RuntimeClass       string
	Spread             []corev1.TopologySpreadConstraint // "" of a label selector is the pods themselves
	GPUResource        string                            // what stage.resources.<vanity>.gpu asks for
	PullPolicy         corev1.PullPolicy
	ServiceAccount     string
	Labels             map[string]string // of pods and what makes them
	Annotations        map[string]string // of pods
	ServiceLabels      map[string]string
	ServiceAnnotations map[string]string
	HostAliases        []corev1.HostAlias
	DNSPolicy          corev1.DNSPolicy
	DNSConfig          *corev1.PodDNSConfig
	Mesh               string // MeshOn, MeshOff, or "" for what the namespace says
}

// Settings are the placements of a launch: one for all pods, and those of some
// of them, each of which is laid over it.
type Settings struct {
	general Placement
	of      map[string]Placement
}

// Of returns the placement of an algorithm's pods, by its vanity URL, or of
// Engine or Queue. Maps are merged key by key; of all else the special value
// takes the place of the general one.
func (s Settings) Of(who string) Placement {
	merged := s.general
	if who == Engine || who == Queue {
		merged.ServiceAccount, merged.GPUResource = "", "" // algorithms' alone
	}
	special, ok := s.of[who]
	if !ok {
		return merged
	}
	for _, f := range fields {
		into, from := reflect.ValueOf(f.part(&merged)).Elem(), reflect.ValueOf(f.part(&special)).Elem()
		switch {
		case from.IsZero():
		case f.isMap() && !into.IsNil():
			both := maps.Clone(into.Interface().(map[string]string))
			maps.Copy(both, from.Interface().(map[string]string))
			into.Set(reflect.ValueOf(both))
		default:
			into.Set(from)
		}
	}
	return merged
}

// Placed returns for whom there is a placement of their own, in order.
func (s Settings) Placed() []string { return slices.Sorted(maps.Keys(s.of)) }

// Parse reads what stage.placement has, as YAML or JSON decodes it into
// maps, lists and words. The error is one sentence that names the key.
func Parse(values map[string]any) (Settings, error) {
	s, general := Settings{of: map[string]Placement{}}, map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if _, ok := fieldOf(key); ok {
			general[key] = values[key]
			continue
		}
		if key != Engine && key != Queue && !strings.Contains(key, "/") {
			return s, unknown(Root, key, append(Fields(), Engine, Queue))
		}
		inner, ok := values[key].(map[string]any)
		if !ok && values[key] != nil {
			return s, fmt.Errorf("%s.%s has keys such as node_selector and tolerations beneath it; not %v", Root, key, values[key])
		}
		p, err := decode(Root+"."+key, inner)
		if err != nil {
			return s, err
		}
		if err := p.checkFor(key); err != nil {
			return s, err
		}
		s.of[key] = p
	}
	var err error
	if s.general, err = decode(Root, general); err != nil {
		return s, err
	}
	return s, s.checkMerged()
}

// checkMerged holds what only holds for a general and a special part at once.
func (s Settings) checkMerged() error {
	for _, who := range append([]string{""}, s.Placed()...) {
		if p := s.Of(who); p.DNSPolicy == corev1.DNSNone && (p.DNSConfig == nil || len(p.DNSConfig.Nameservers) == 0) {
			return fmt.Errorf("%s=None leaves pods without a name server: set dns_config with nameservers beside it", strings.Join(Key{Who: who, Field: "dns_policy"}.Path(), "."))
		}
	}
	return nil
}

// checkFor refuses what the satellite's own pods cannot have.
func (p Placement) checkFor(who string) error {
	if who != Engine && who != Queue {
		return nil
	}
	if p.ServiceAccount != "" {
		return fmt.Errorf("%s.%s.service_account cannot be set: the %s runs with an account of its own, which has the rights that it needs; set it for algorithms", Root, who, who)
	}
	if p.GPUResource != "" {
		return fmt.Errorf("%s.%s.gpu_resource cannot be set: the %s uses no GPU; set it for algorithms", Root, who, who)
	}
	return nil
}

// unknown is the error of a key that is none, with the nearest that is.
func unknown(where, key string, known []string) error {
	near := constellation.Nearest(key, known)
	if constellation.Edits(key, near) > max(2, len(near)/2) {
		return fmt.Errorf("there is no setting %s.%s; there are %s", where, key, strings.Join(known, ", "))
	}
	return fmt.Errorf("there is no setting %s.%s; did you mean %s.%s", where, key, where, near)
}
