package preflight

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/secrets"
)

// referencesCheck is the name of what is noted of Secrets, ConfigMaps and claims
// that algorithms are given.
const referencesCheck = "variables and volumes"

// reference is something of the namespace that algorithms need.
type reference struct{ kind, name string }

// String returns the object as messages call it.
func (r reference) String() string { return r.kind + " " + r.name }

// use is who needs a reference, and which of its keys; "" is all of it.
type use struct{ vanityURL, key, what string }

// references looks for what algorithms are given and the namespace has to have:
// without it their pods would never start.
func (p *preflight) references(ctx context.Context) {
	before := len(p.checks)
	wanted := map[reference][]use{}
	for _, a := range p.input.Plan.Algorithms {
		p.collect(a, wanted)
	}
	p.typedSecrets(ctx)
	order := slices.SortedFunc(maps.Keys(wanted), func(a, b reference) int { return strings.Compare(a.String(), b.String()) })
	for _, r := range order {
		if r.kind == "PersistentVolumeClaim" {
			p.claim(ctx, r, wanted[r])
			continue
		}
		p.keyed(ctx, r, wanted[r])
	}
	if len(order) > 0 && len(p.checks) == before {
		p.note(referencesCheck, OK, "", "namespace %s has the %s that algorithms are given", p.namespaceName(), kindsOf(order))
	}
}

// collect adds what one algorithm needs.
func (p *preflight) collect(a bundle.Algorithm, wanted map[reference][]use) {
	s, _ := p.input.PodSettings(a)
	add := func(kind, name, key, what string) {
		r := reference{kind, name}
		wanted[r] = append(wanted[r], use{a.VanityURL, key, what})
	}
	for _, f := range s.EnvFrom {
		kind, what := "ConfigMap", "its variables"
		if f.Secret != "" {
			kind = "Secret"
		}
		if f.Key != "" {
			what = "the variable " + f.Name
		}
		add(kind, cmp.Or(f.Secret, f.ConfigMap), f.Key, what)
	}
	kinds := map[string]string{constellation.VolumePVC: "PersistentVolumeClaim", constellation.VolumeSecret: "Secret", constellation.VolumeConfigMap: "ConfigMap"}
	for _, v := range s.Volumes {
		if kind := kinds[v.Type]; kind != "" {
			add(kind, v.Source, "", "the volume "+v.Name)
		}
	}
}

// kindsOf says of which kinds there are how many.
func kindsOf(references []reference) string {
	n := map[string]int{}
	for _, r := range references {
		n[r.kind]++
	}
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%d %s", n[kind], kind))
	}
	return strings.Join(parts, ", ")
}

// typedSecrets finds variables whose values were to be typed, and are not in this
// cluster.
func (p *preflight) typedSecrets(ctx context.Context) {
	var missing []string
	var values *secrets.Values
	for _, a := range p.input.Plan.Algorithms {
		_, names := p.input.PodSettings(a)
		if len(names) > 0 && values == nil {
			read, err := secrets.Read(ctx, p.cluster, p.input.Plan)
			if err != nil {
				p.note(referencesCheck, unlessForbidden(err), "", "%v", err)
				return
			}
			values = &read
		}
		for _, name := range names {
			if !values.Has(a.VanityURL, name) {
				missing = append(missing, "stage.env."+a.VanityURL+"."+name)
			}
		}
	}
	if len(missing) > 0 {
		p.note(referencesCheck, Problem, fmt.Sprintf("type each on a machine that reaches the cluster: 'algo-install satellite %s %s configure --secret %s -'", p.input.Plan.Satellite.ID, p.input.Plan.Launch.ID, missing[0]),
			"namespace %s has no value of the secrets %s", p.namespaceName(), strings.Join(missing, ", "))
	}
}

// keyed looks at a Secret or ConfigMap and its keys.
func (p *preflight) keyed(ctx context.Context, r reference, uses []use) {
	keys, err := p.keysOf(ctx, r)
	switch {
	case apierrors.IsNotFound(err):
		command := "kubectl -n " + p.namespaceName() + " create " + strings.ToLower(r.kind) + " " + r.name
		if r.kind == "Secret" {
			command = "kubectl -n " + p.namespaceName() + " create secret generic " + r.name
		}
		p.note(referencesCheck, Problem, "make it, such as with '"+command+" --from-file=KEY=FILE'; or take it out of the satellite, or of the configuration",
			"there is no %s in namespace %s, which %s", r, p.namespaceName(), needs(uses))
		return
	case err != nil:
		p.note(referencesCheck, unlessForbidden(err), "", "%v", err)
		return
	}
	for _, u := range uses {
		if _, ok := keys[u.key]; !ok && u.key != "" {
			p.note(referencesCheck, Problem, "add the key, or name one that is there",
				"%s of namespace %s has no key %s, which %s; its keys: %s", r, p.namespaceName(), u.key, needs([]use{u}), keysOf(keys))
		}
	}
}

// keysOf reads the keys of a Secret or ConfigMap, without looking at their values.
func (p *preflight) keysOf(ctx context.Context, r reference) (map[string]struct{}, error) {
	core, keys := p.cluster.Typed.CoreV1(), map[string]struct{}{}
	if r.kind == "Secret" {
		secret, err := core.Secrets(p.namespaceName()).Get(ctx, r.name, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		for key := range secret.Data {
			keys[key] = struct{}{}
		}
		return keys, nil
	}
	config, err := core.ConfigMaps(p.namespaceName()).Get(ctx, r.name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	for key := range config.Data {
		keys[key] = struct{}{}
	}
	for key := range config.BinaryData {
		keys[key] = struct{}{}
	}
	return keys, nil
}

// needs says who needs a thing for what.
func needs(uses []use) string {
	parts := make([]string, len(uses))
	for i, u := range uses {
		parts[i] = u.vanityURL + " needs for " + u.what
	}
	return strings.Join(parts, ", and ")
}

// claim looks at a PersistentVolumeClaim: that it is there, and that as many pods
// as there are to be can use it.
func (p *preflight) claim(ctx context.Context, r reference, uses []use) {
	claim, err := p.cluster.Typed.CoreV1().PersistentVolumeClaims(p.namespaceName()).Get(ctx, r.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		p.note(referencesCheck, Problem, "make it, or take the volume out of the satellite, or of the configuration",
			"there is no %s in namespace %s, which %s", r, p.namespaceName(), needs(uses))
		return
	case err != nil:
		p.note(referencesCheck, unlessForbidden(err), "", "%v", err)
		return
	case claim.Status.Phase == corev1.ClaimLost || claim.DeletionTimestamp != nil:
		p.note(referencesCheck, Problem, "make it anew", "%s of namespace %s has lost its volume or is being deleted, and %s", r, p.namespaceName(), needs(uses))
		return
	}
	p.shared(ctx, r, claim, uses)
}

// shared warns of a claim that the pods of one node alone can use, and refuses one
// of a single pod where there are to be more.
func (p *preflight) shared(ctx context.Context, r reference, claim *corev1.PersistentVolumeClaim, uses []use) {
	modes := claim.Spec.AccessModes
	if slices.Contains(modes, corev1.ReadWriteMany) || slices.Contains(modes, corev1.ReadOnlyMany) {
		return
	}
	pods := 0
	for _, a := range p.input.Plan.Algorithms {
		if slices.ContainsFunc(uses, func(u use) bool { return u.vanityURL == a.VanityURL }) {
			pods += p.mostReplicas(a)
		}
	}
	one := slices.Contains(modes, corev1.ReadWriteOncePod)
	const many = "give it a claim that is ReadWriteMany or ReadOnlyMany, or configure stage.replicas.VANITY_URL=1"
	if one && pods > 1 {
		p.note(referencesCheck, Problem, many, "%s is ReadWriteOncePod, and %d pods are to use it: %s", r, pods, needs(uses))
		return
	}
	node, by := p.boundTo(ctx, claim)
	switch {
	case node != "":
		p.note(referencesCheck, Warning, many, "%s is read-write-once and on node %s%s: every pod that uses it has to run there, %d of them, and a new version's beside the old one's (%s)", r, node, by, pods, needs(uses))
	case pods > 1:
		p.note(referencesCheck, Warning, many, "%s is read-write-once: all %d pods that use it have to run on one node, and wait where that has no room (%s)", r, pods, needs(uses))
	}
}

// mostReplicas returns how many pods of an algorithm there are at the most.
func (p *preflight) mostReplicas(a bundle.Algorithm) int {
	if bounds, ok := p.input.Scale(a); ok {
		return bounds.Most
	}
	return p.input.Replicas(a)
}

// boundTo returns the node that a claim is bound to, and by which pod, as far as
// that can be seen.
func (p *preflight) boundTo(ctx context.Context, claim *corev1.PersistentVolumeClaim) (node, by string) {
	pods, err := p.cluster.Typed.CoreV1().Pods(p.namespaceName()).List(ctx, metav1.ListOptions{})
	if err == nil {
		for _, pod := range pods.Items {
			if pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
				continue
			}
			if slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool {
				return v.PersistentVolumeClaim != nil && v.PersistentVolumeClaim.ClaimName == claim.Name
			}) {
				return pod.Spec.NodeName, " (in use by pod " + pod.Name + ")"
			}
		}
	}
	return claim.Annotations["volume.kubernetes.io/selected-node"], ""
}

// hasClaims reports whether an algorithm is given a claim, so that the account
// has to be able to look at it.
func (p *preflight) hasClaims() bool {
	return slices.ContainsFunc(p.input.Plan.Algorithms, func(a bundle.Algorithm) bool {
		s, _ := p.input.PodSettings(a)
		return slices.ContainsFunc(s.Volumes, func(v constellation.Volume) bool { return v.Type == constellation.VolumePVC })
	})
}
