package placement

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Bounds of what one placement may have, so that an object stays one that a
// server takes.
const (
	maxEntries     = 64
	maxAnnotations = 64 << 10 // bytes of all of them; Kubernetes takes 256 KiB with ours and what others add
	maxDNS         = 3        // name servers, as Kubernetes takes them
)

// ours are the labels and annotations by which a launch's objects are known.
var ours = []string{"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by",
	"pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"}

// isOurs reports whether a label or annotation is one that tells a launch's
// objects apart.
func isOurs(key string) bool {
	return slices.Contains(ours, key) || strings.HasPrefix(key, "constellation/")
}

func isObjectName(name string) error {
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		return fmt.Errorf("is the name of an object of the cluster: lower-case letters, digits, '-' and '.'; not %q", name)
	}
	return nil
}

// labelsFit holds labels to Kubernetes' rules.
func labelsFit(labels map[string]string) error {
	if len(labels) > maxEntries {
		return fmt.Errorf("has %d entries, and may have %d", len(labels), maxEntries)
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if err := isLabelKey(key); err != nil {
			return err
		}
		if len(validation.IsValidLabelValue(labels[key])) > 0 {
			return fmt.Errorf("gives %s a value that no label has: up to 63 letters, digits, '-', '_' and '.'; not %q", key, labels[key])
		}
	}
	return nil
}

func isLabelKey(key string) error {
	if len(validation.IsQualifiedName(key)) > 0 {
		return fmt.Errorf("has %q, which is no label's name: letters, digits, '-', '_' and '.', with an optional domain and '/' before them, such as cloud.google.com/gke-accelerator", key)
	}
	return nil
}

func ownLabels(labels map[string]string) error {
	if err := notOurs(labels); err != nil {
		return err
	}
	return labelsFit(labels)
}

func notOurs(values map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if isOurs(key) {
			return fmt.Errorf("cannot set %s: the launch's objects are known by it; choose another name", key)
		}
	}
	return nil
}

func annotationsFit(annotations map[string]string) error {
	if err := notOurs(annotations); err != nil {
		return err
	}
	size := 0
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		size += len(key) + len(annotations[key])
		if len(validation.IsQualifiedName(strings.ToLower(key))) > 0 {
			return fmt.Errorf("has %q, which is no annotation's name: letters, digits, '-', '_' and '.', with an optional domain and '/' before them", key)
		}
	}
	if len(annotations) > maxEntries || size > maxAnnotations {
		return fmt.Errorf("has %d entries of %d bytes, and may have %d of %d", len(annotations), size, maxEntries, maxAnnotations)
	}
	return nil
}

func checkTolerations(p *Placement) error {
	if len(p.Tolerations) > maxEntries {
		return fmt.Errorf("has %d entries, and may have %d", len(p.Tolerations), maxEntries)
	}
	for i, t := range p.Tolerations {
		if err := tolerationFits(t); err != nil {
			return fmt.Errorf("[%d] %w", i, err)
		}
	}
	return nil
}

func tolerationFits(t corev1.Toleration) error {
	effects := []corev1.TaintEffect{"", corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}
	switch {
	case t.Operator != "" && t.Operator != corev1.TolerationOpExists && t.Operator != corev1.TolerationOpEqual:
		return fmt.Errorf("has the operator %q; there are Exists and Equal", t.Operator)
	case !slices.Contains(effects, t.Effect):
		return fmt.Errorf("has the effect %q; there are NoSchedule, PreferNoSchedule and NoExecute, and none stands for all", t.Effect)
	case t.Key == "" && t.Operator != corev1.TolerationOpExists:
		return errors.New("has no key: only the operator Exists bears every taint")
	case t.Operator == corev1.TolerationOpExists && t.Value != "":
		return errors.New("has the operator Exists and a value: Exists takes any, Equal takes one")
	case t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute:
		return errors.New("has tolerationSeconds, which only the effect NoExecute has")
	case t.Key != "" && isLabelKey(t.Key) != nil:
		return isLabelKey(t.Key)
	case len(validation.IsValidLabelValue(t.Value)) > 0:
		return fmt.Errorf("has the value %q, which no taint has", t.Value)
	}
	return nil
}

func checkSpread(p *Placement) error {
	for i, s := range p.Spread {
		switch {
		case i >= maxEntries:
			return fmt.Errorf("has more than %d entries", maxEntries)
		case s.MaxSkew < 1:
			return fmt.Errorf("[%d] needs a maxSkew of 1 or more", i)
		case s.TopologyKey == "" || isLabelKey(s.TopologyKey) != nil:
			return fmt.Errorf("[%d] needs a topologyKey, the name of a nodes' label such as topology.kubernetes.io/zone; not %q", i, s.TopologyKey)
		case s.WhenUnsatisfiable != corev1.DoNotSchedule && s.WhenUnsatisfiable != corev1.ScheduleAnyway:
			return fmt.Errorf("[%d] needs whenUnsatisfiable: DoNotSchedule or ScheduleAnyway; not %q", i, s.WhenUnsatisfiable)
		}
	}
	return nil
}

// checkGPUResource: what is beneath kubernetes.io is a node's own, and no
// device.
func checkGPUResource(p *Placement) error {
	domain, _, ok := strings.Cut(p.GPUResource, "/")
	if !ok || len(validation.IsQualifiedName(p.GPUResource)) > 0 || strings.HasPrefix(p.GPUResource, "requests.") || strings.HasSuffix(domain, "kubernetes.io") {
		return fmt.Errorf("is the name of a device's resource as a node's allocatable has it, such as amd.com/gpu or nvidia.com/mig-1g.5gb; not %q", p.GPUResource)
	}
	return nil
}

// choices are the values of the fields that have few.
var choices = map[string][]string{
	"pull_policy": {string(corev1.PullIfNotPresent), string(corev1.PullAlways), string(corev1.PullNever)},
	"dns_policy":  {string(corev1.DNSClusterFirst), string(corev1.DNSDefault), string(corev1.DNSNone)},
	"mesh":        {MeshOn, MeshOff},
}

// Choices returns the values of a field that has few, nil for one that has many.
func Choices(name string) []string { return choices[name] }

func checkPullPolicy(p *Placement) error { return oneOf(string(p.PullPolicy), choices["pull_policy"]) }
func checkMesh(p *Placement) error       { return oneOf(p.Mesh, choices["mesh"]) }
func checkDNS(p *Placement) error        { return oneOf(string(p.DNSPolicy), choices["dns_policy"]) }

func oneOf(value string, values []string) error {
	if slices.Contains(values, value) {
		return nil
	}
	return fmt.Errorf("is one of %s; not %q", strings.Join(values, ", "), value)
}

func checkDNSConfig(p *Placement) error {
	c := p.DNSConfig
	if len(c.Nameservers) > maxDNS || len(c.Searches) > maxEntries/2 || len(c.Options) > maxEntries {
		return fmt.Errorf("has more than %d name servers or too many search domains", maxDNS)
	}
	for _, server := range c.Nameservers {
		if net.ParseIP(server) == nil {
			return fmt.Errorf("has the name server %q, which is no address", server)
		}
	}
	for _, search := range c.Searches {
		if len(validation.IsDNS1123Subdomain(strings.TrimSuffix(search, "."))) > 0 {
			return fmt.Errorf("has the search domain %q, which is no host name", search)
		}
	}
	return nil
}

func checkHostAliases(p *Placement) error {
	if len(p.HostAliases) > maxEntries {
		return fmt.Errorf("has %d entries, and may have %d", len(p.HostAliases), maxEntries)
	}
	for i, alias := range p.HostAliases {
		if net.ParseIP(alias.IP) == nil {
			return fmt.Errorf("[%d] needs an ip, such as 10.0.0.7; not %q", i, alias.IP)
		}
		for _, name := range alias.Hostnames {
			if len(validation.IsDNS1123Subdomain(name)) > 0 {
				return fmt.Errorf("[%d] has %q, which is no host name", i, name)
			}
		}
	}
	return nil
}
