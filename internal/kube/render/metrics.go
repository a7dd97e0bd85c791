package render

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// MetricsAllow is who may reach the engines' metrics; the zero value is nobody.
type MetricsAllow struct {
	Any        bool
	Namespaces []string
	Ranges     []string // CIDR
}

// ParseMetricsAllow reads stage.metrics.allow: "none" or nothing, "any", or
// names of namespaces and address ranges with commas between them.
func ParseMetricsAllow(value string) (MetricsAllow, error) {
	var a MetricsAllow
	switch value {
	case "", "none":
		return a, nil
	case "any":
		return MetricsAllow{Any: true}, nil
	}
	for part := range strings.SplitSeq(value, ",") {
		part = strings.TrimSpace(part)
		if prefix, err := netip.ParsePrefix(part); err == nil {
			a.Ranges = append(a.Ranges, prefix.Masked().String())
			continue
		}
		if part == "none" || part == "any" {
			return MetricsAllow{}, errors.New("is none or any alone, or a list of others")
		}
		if len(validation.IsDNS1123Label(part)) > 0 {
			return MetricsAllow{}, fmt.Errorf("is none, any, or namespaces and address ranges such as monitoring,10.0.0.0/8; not %q", part)
		}
		a.Namespaces = append(a.Namespaces, part)
	}
	return a, nil
}

// metricsPeers are who may reach the engines' metrics: the engines, and whom
// the setting names. An empty list would let anybody in; the engines, which
// tell each other their counts there, are always in it.
func (r *renderer) metricsPeers() []networkingv1.NetworkPolicyPeer {
	allow := r.Settings.MetricsAllow
	if allow.Any {
		return nil
	}
	peers := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: r.selector(EngineName)}}}
	for _, name := range allow.Namespaces {
		// Kubernetes itself labels namespaces so, from 1.21 on.
		peers = append(peers, networkingv1.NetworkPolicyPeer{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": name}},
		})
	}
	for _, cidr := range allow.Ranges {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr}})
	}
	return peers
}
