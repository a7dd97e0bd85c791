package render

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/egress"
	"github.com/constellation-serving/constellation/internal/outbound"
)

// The APIs of policies that know hosts by their names: Cilium's, and Calico's where
// its rules have domains, as those of Calico Enterprise do.
const (
	FQDNPolicyAPI    = "cilium.io/v2"
	FQDNPolicyKind   = "CiliumNetworkPolicy"
	DomainPolicyAPI  = "projectcalico.org/v3"
	DomainPolicyKind = "NetworkPolicy"
)

// fqdnKindName is the kind of the policies that know names.
func (a APIs) fqdnKindName() string {
	if a.FQDNPolicy == DomainPolicyAPI {
		return KindName(DomainPolicyAPI, DomainPolicyKind)
	}
	return FQDNPolicyKind
}

// fqdnPolicy opens the names of an algorithm's list, by whatever addresses name
// servers give its pods, but never where clouds keep their metadata. It learns of
// the addresses by seeing pods ask, at any server as NetworkPolicies let them.
func (r *renderer) fqdnPolicy(a bundle.Algorithm) {
	if !r.EgressByName(a) {
		return
	}
	if r.APIs.FQDNPolicy == DomainPolicyAPI {
		r.domainPolicy(a)
		return
	}
	name := r.names[a.VanityURL]
	ask := fqdnPorts(fqdnPort(53, "ANY"), fqdnPort(5353, "ANY"))
	ask[0].(map[string]any)["rules"] = map[string]any{"dns": []any{map[string]any{"matchPattern": "*"}}}
	allow, opened := []any{map[string]any{"toPorts": ask}}, []any{}
	for _, e := range r.Settings.Egress[a.VanityURL] {
		if e.Host == "" {
			continue
		}
		rule := map[string]any{"toFQDNs": []any{map[string]any{"matchName": e.Host}}}
		if e.Port > 0 {
			rule["toPorts"] = fqdnPorts(fqdnPortOf(e))
		}
		allow = append(allow, rule)
		if port := fqdnPortOf(e); !slices.ContainsFunc(opened, func(other any) bool { return maps.Equal(other.(map[string]any), port) }) {
			opened = append(opened, port)
		}
	}
	r.custom(r.APIs.FQDNPolicy, FQDNPolicyKind, r.meta(name, "algorithm"), map[string]any{
		"endpointSelector": map[string]any{"matchLabels": anyMap(r.selector(name))},
		"egress":           allow,
		"egressDeny":       []any{map[string]any{"toCIDR": metadataRanges(), "toPorts": fqdnPorts(opened...)}},
	})
}

// metadataRanges are where no name may lead. They are denied for the ports that
// are opened: a node's own name server may have an address of the local link.
func metadataRanges() (ranges []any) {
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		for _, none := range outbound.MetadataRanges(netip.MustParsePrefix(all)) {
			ranges = append(ranges, none.String())
		}
	}
	return ranges
}

func fqdnPorts(ports ...any) []any { return []any{map[string]any{"ports": ports}} }

func fqdnPort(number int, protocol string) map[string]any {
	return map[string]any{"port": strconv.Itoa(number), "protocol": protocol}
}

// fqdnPortOf is an entry's port; port 0 is every one.
func fqdnPortOf(e egress.Entry) map[string]any {
	if e.UDP {
		return fqdnPort(e.Port, string(corev1.ProtocolUDP))
	}
	return fqdnPort(e.Port, string(corev1.ProtocolTCP))
}

// anyMap is a map as objects without a type have it.
func anyMap(values map[string]string) map[string]any {
	all := map[string]any{}
	for key, value := range values {
		all[key] = value
	}
	return all
}

// FQDNRules are the rights to write the policies that know names.
func (a APIs) FQDNRules() []rbacv1.PolicyRule {
	rule := rbacv1.PolicyRule{APIGroups: []string{"cilium.io"}, Resources: []string{"ciliumnetworkpolicies"}, Verbs: []string{"get", "create", "patch", "delete"}}
	if a.FQDNPolicy == DomainPolicyAPI {
		rule.APIGroups, rule.Resources = []string{"projectcalico.org"}, []string{"networkpolicies"}
	}
	return []rbacv1.PolicyRule{rule}
}
