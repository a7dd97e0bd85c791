package render

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/egress"
)

// domainTier is the tier of Kubernetes' own policies, beside which ours are. Its
// name begins the names of its policies, or older versions of Calico put it there.
// So the name is never that of a NetworkPolicy of Kubernetes, and an installer that
// tells objects apart by kind and name alone tells them apart too.
const domainTier = "default"

// DomainPolicyName is the name of Calico's policy beside the NetworkPolicy of a name.
func DomainPolicyName(name string) string { return domainTier + "." + name }

// domainPolicy opens the names of an algorithm's list as Calico Enterprise does it:
// by the addresses that its trusted name servers give, which it sees itself. What
// it denies, where clouds keep their metadata, stands before what it allows.
func (r *renderer) domainPolicy(a bundle.Algorithm) {
	name := r.names[a.VanityURL]
	var denied, allowed []any
	var opened []egress.Entry
	for _, e := range r.Settings.Egress[a.VanityURL] {
		if e.Host == "" {
			continue
		}
		allowed = append(allowed, domainRule("Allow", e, map[string]any{"domains": []any{e.Host}}))
		if port := (egress.Entry{Port: e.Port, UDP: e.UDP}); !slices.Contains(opened, port) {
			opened = append(opened, port)
		}
	}
	for _, port := range opened {
		for _, ipv6 := range []bool{false, true} { // a rule is of one family
			nets := slices.DeleteFunc(metadataRanges(), func(net any) bool { return strings.Contains(net.(string), ":") != ipv6 })
			denied = append(denied, domainRule("Deny", port, map[string]any{"nets": nets}))
		}
	}
	meta := r.meta(name, "algorithm")
	meta.Name = DomainPolicyName(name)
	var selector []string
	for key, value := range r.selector(name) {
		selector = append(selector, fmt.Sprintf("%s == '%s'", key, value))
	}
	slices.Sort(selector)
	r.custom(DomainPolicyAPI, DomainPolicyKind, meta, map[string]any{
		"tier": domainTier, "selector": strings.Join(selector, " && "), "types": []any{"Egress"},
		"egress": append(denied, allowed...),
	})
}

// domainRule is a rule for an entry's protocol and port; port 0 is every one.
func domainRule(action string, e egress.Entry, destination map[string]any) map[string]any {
	protocol := corev1.ProtocolTCP
	if e.UDP {
		protocol = corev1.ProtocolUDP
	}
	if e.Port > 0 {
		destination["ports"] = []any{int64(e.Port)}
	}
	return map[string]any{"action": action, "protocol": string(protocol), "destination": destination}
}
