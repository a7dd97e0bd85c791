package render

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// networkPolicies deny by default, let anyone call the engine, whom the
// configuration names read its metrics, the engine reach anyone, algorithms
// the engine, DNS and what stage.egress lists, and the queue's nodes each other and
// DNS; "full" algorithms without a list anyone.
func (r *renderer) networkPolicies() []runtime.Object {
	both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	everyPod := metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/instance": r.Plan.Launch.ID}}
	objects := []runtime.Object{
		r.policy(denyName, "network", networkingv1.NetworkPolicySpec{PodSelector: everyPod, PolicyTypes: both}),
		r.policy(EngineName, "engine", networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: r.selector(EngineName)},
			PolicyTypes: both,
			Ingress: append(r.callRules(everyPod), networkingv1.NetworkPolicyIngressRule{
				From: r.metricsPeers(), Ports: []networkingv1.NetworkPolicyPort{tcp(metricsPort)},
			}),
			// The API server, the mothership and an issuer of tokens have no labels to
			// be named by.
			Egress: []networkingv1.NetworkPolicyEgressRule{{}},
		}),
	}
	if r.queueNodes() > 0 {
		objects = append(objects, r.queuePolicy(both))
	}
	for _, a := range r.Plan.Algorithms {
		objects = append(objects, r.algorithmPolicy(a, both))
	}
	return objects
}

func (r *renderer) algorithmPolicy(a bundle.Algorithm, both []networkingv1.PolicyType) runtime.Object {
	name, run := r.names[a.VanityURL], a.Runtime.WithDefaults()
	engine := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: r.selector(EngineName)}}}
	egress := []networkingv1.NetworkPolicyEgressRule{{}}
	if _, listed := r.Settings.Egress[a.VanityURL]; listed || run.Network == "isolated" {
		egress = r.egressRules(a, engine)
	}
	policy := r.policy(name, "algorithm", networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: r.selector(name)},
		PolicyTypes: both,
		Ingress: []networkingv1.NetworkPolicyIngressRule{{
			From: engine, Ports: []networkingv1.NetworkPolicyPort{tcp(run.Port)},
		}},
		Egress: egress,
	})
	r.egressAnnotation(a, &policy.ObjectMeta)
	return policy
}

func (r *renderer) policy(name, component string, spec networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: r.meta(name, component),
		Spec:       spec,
	}
}

// dnsPorts are where names are asked for. OpenShift's DNS pods listen on 5353,
// and a policy sees the pod's port.
func dnsPorts() []networkingv1.NetworkPolicyPort {
	return []networkingv1.NetworkPolicyPort{udp(53), tcp(53), udp(5353), tcp(5353)}
}

func tcp(port int) networkingv1.NetworkPolicyPort {
	protocol, n := corev1.ProtocolTCP, intstr.FromInt32(int32(port))
	return networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &n}
}

func udp(port int) networkingv1.NetworkPolicyPort {
	p, protocol := tcp(port), corev1.ProtocolUDP
	p.Protocol = &protocol
	return p
}

// budgets let a node's drain take one pod of each kind at a time, where there
// can be more than one.
func (r *renderer) budgets() {
	if r.APIs.PDB == "" {
		return
	}
	if r.engines() > 1 {
		r.budget(EngineName, "engine")
	}
	if r.queueNodes() > 0 {
		r.budget(QueueName, "queue")
	}
	for _, a := range r.Plan.Algorithms {
		if bounds, scaled := r.Scale(a); r.Replicas(a) > 1 || scaled && bounds.Most > 1 {
			r.budget(r.names[a.VanityURL], "algorithm")
		}
	}
}

func (r *renderer) budget(name, component string) {
	one := intstr.FromInt32(1)
	r.add(&policyv1.PodDisruptionBudget{ // v1beta1 has the same fields
		TypeMeta:   metav1.TypeMeta{APIVersion: r.APIs.PDB, Kind: "PodDisruptionBudget"},
		ObjectMeta: r.meta(name, component),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: &one,
			Selector:       &metav1.LabelSelector{MatchLabels: r.selector(name)},
		},
	})
}

// quantity notes a Kubernetes quantity under name, when there is one.
func (r *renderer) quantity(list corev1.ResourceList, name corev1.ResourceName, value, vanityURL string) {
	if value == "" {
		return
	}
	q, err := resource.ParseQuantity(value)
	if err != nil {
		r.err = fmt.Errorf("%s of %s: %q is no Kubernetes quantity such as 500m or 2Gi", name, vanityURL, value)
		return
	}
	list[name] = q
}
