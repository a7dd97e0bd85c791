package render

import (
	"net/netip"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/egress"
	"github.com/constellation-serving/constellation/internal/outbound"
)

// AnnotationEgress says on an algorithm's NetworkPolicy what stage.egress opens:
// the kind of the policy that does, and what is reached.
const AnnotationEgress = "constellation/egress"

// EgressByName reports whether a policy knows the names of an algorithm's list.
func (in Input) EgressByName(a bundle.Algorithm) bool {
	return in.APIs.FQDNPolicy != "" && len(egress.Names(map[string][]egress.Entry{"": in.Settings.Egress[a.VanityURL]})) > 0
}

// Egress says of each algorithm with a list what it may reach.
func (in Input) Egress() []egress.Told {
	var all []egress.Told
	for _, a := range in.Plan.Algorithms {
		if t, ok := in.egressOf(a); ok {
			all = append(all, t)
		}
	}
	return all
}

func (in Input) egressOf(a bundle.Algorithm) (t egress.Told, ok bool) {
	list, ok := in.Settings.Egress[a.VanityURL]
	if !ok {
		return t, false
	}
	t = egress.Told{VanityURL: a.VanityURL, Policy: "NetworkPolicy"}
	names := in.Settings.EgressNames
	if in.EgressByName(a) {
		t.Policy, names = in.APIs.fqdnKindName(), nil
	}
	t.Reaches = egress.Tell(list, names)
	return t, true
}

// egressSeparator stands between what an algorithm reaches in the annotation.
const egressSeparator = ", "

// ReadEgress returns what a NetworkPolicy's annotation says of an algorithm.
func ReadEgress(vanityURL, annotation string) (egress.Told, bool) {
	policy, reaches, ok := strings.Cut(annotation, ": ")
	return egress.Told{VanityURL: vanityURL, Policy: policy, Reaches: strings.Split(reaches, egressSeparator)}, ok
}

// egressRules are where an algorithm's pods may go that may not go anywhere: to
// the engine, for names, and to what its list has. The names of a list are left to
// a policy that knows such, and to Cilium's also where names are asked for, since it
// learns their addresses there.
func (r *renderer) egressRules(a bundle.Algorithm, engine []networkingv1.NetworkPolicyPeer) []networkingv1.NetworkPolicyEgressRule {
	byName := r.EgressByName(a)
	rules := []networkingv1.NetworkPolicyEgressRule{{To: engine, Ports: []networkingv1.NetworkPolicyPort{tcp(enginePort)}}}
	if !byName || r.APIs.FQDNPolicy != FQDNPolicyAPI {
		rules = append([]networkingv1.NetworkPolicyEgressRule{{Ports: dnsPorts()}}, rules...)
	}
	for _, e := range r.Settings.Egress[a.VanityURL] {
		peers := r.egressPeers(e)
		if e.Host != "" && byName || len(peers) == 0 { // no peers would be every peer
			continue
		}
		rules = append(rules, networkingv1.NetworkPolicyEgressRule{To: peers, Ports: []networkingv1.NetworkPolicyPort{egressPort(e)}})
	}
	return rules
}

func (r *renderer) egressPeers(e egress.Entry) (peers []networkingv1.NetworkPolicyPeer) {
	add := func(p netip.Prefix) {
		block := &networkingv1.IPBlock{CIDR: p.String()}
		for _, none := range outbound.MetadataRanges(p) {
			block.Except = append(block.Except, none.String())
		}
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: block})
	}
	if e.Host == "" {
		add(e.Range)
	}
	for _, at := range r.Settings.EgressNames[e.Host].All {
		add(netip.PrefixFrom(at, at.BitLen()))
	}
	return peers
}

func egressPort(e egress.Entry) networkingv1.NetworkPolicyPort {
	port := tcp(e.Port)
	if e.UDP {
		port = udp(e.Port)
	}
	if e.Port == 0 {
		port.Port = nil
	}
	return port
}

// egressAnnotation notes on an algorithm's policy what its list opens.
func (r *renderer) egressAnnotation(a bundle.Algorithm, meta *metav1.ObjectMeta) {
	if t, ok := r.egressOf(a); ok {
		meta.Annotations = map[string]string{AnnotationEgress: t.Policy + ": " + strings.Join(t.Reaches, egressSeparator)}
	}
}
