package placement

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// operators are a node selector's, as labels have them.
var operators = map[corev1.NodeSelectorOperator]selection.Operator{
	corev1.NodeSelectorOpIn: selection.In, corev1.NodeSelectorOpNotIn: selection.NotIn,
	corev1.NodeSelectorOpExists: selection.Exists, corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist,
	corev1.NodeSelectorOpGt: selection.GreaterThan, corev1.NodeSelectorOpLt: selection.LessThan,
}

func requirement(r corev1.NodeSelectorRequirement) (*labels.Requirement, error) {
	operator, ok := operators[r.Operator]
	if !ok {
		return nil, fmt.Errorf("has the operator %q for %s; there are In, NotIn, Exists, DoesNotExist, Gt and Lt", r.Operator, r.Key)
	}
	made, err := labels.NewRequirement(r.Key, operator, r.Values)
	if err != nil {
		return nil, fmt.Errorf("has a requirement of %q that Kubernetes would refuse: %w", r.Key, err)
	}
	return made, nil
}

func checkAffinity(p *Placement) error {
	if node := p.Affinity.NodeAffinity; node != nil {
		if err := checkNodeAffinity(node); err != nil {
			return err
		}
	}
	var terms []corev1.PodAffinityTerm
	var weighted []corev1.WeightedPodAffinityTerm
	if pods := p.Affinity.PodAffinity; pods != nil {
		terms = append(terms, pods.RequiredDuringSchedulingIgnoredDuringExecution...)
		weighted = append(weighted, pods.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	if pods := p.Affinity.PodAntiAffinity; pods != nil {
		terms = append(terms, pods.RequiredDuringSchedulingIgnoredDuringExecution...)
		weighted = append(weighted, pods.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	for _, w := range weighted {
		if err := weightFits(w.Weight); err != nil {
			return err
		}
		terms = append(terms, w.PodAffinityTerm)
	}
	for _, term := range terms {
		if isLabelKey(term.TopologyKey) != nil {
			return fmt.Errorf("has a term of pods without a topologyKey, the name of a nodes' label such as kubernetes.io/hostname; not %q", term.TopologyKey)
		}
		if _, err := metav1.LabelSelectorAsSelector(term.LabelSelector); err != nil {
			return fmt.Errorf("has a label selector that Kubernetes would refuse: %w", err)
		}
	}
	return nil
}

func checkNodeAffinity(a *corev1.NodeAffinity) error {
	var terms []corev1.NodeSelectorTerm
	if required := a.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		if terms = required.NodeSelectorTerms; len(terms) == 0 {
			return fmt.Errorf("requires nodes by no nodeSelectorTerms: no node would do")
		}
	}
	for _, preferred := range a.PreferredDuringSchedulingIgnoredDuringExecution {
		if err := weightFits(preferred.Weight); err != nil {
			return err
		}
		terms = append(terms, preferred.Preference)
	}
	for _, term := range terms {
		for _, r := range term.MatchExpressions {
			if _, err := requirement(r); err != nil {
				return err
			}
		}
		for _, r := range term.MatchFields {
			if r.Key != metav1.ObjectNameField || r.Operator != corev1.NodeSelectorOpIn && r.Operator != corev1.NodeSelectorOpNotIn || len(r.Values) != 1 {
				return fmt.Errorf("has matchFields of %q: there is %s alone, In or NotIn one name", r.Key, metav1.ObjectNameField)
			}
		}
	}
	return nil
}

func weightFits(weight int32) error {
	if weight < 1 || weight > 100 {
		return fmt.Errorf("has a preference of weight %d: a weight is from 1 to 100", weight)
	}
	return nil
}

// meets reports whether a node is one that a required node affinity names. A
// term without requirements names none, as Kubernetes has it.
func meets(required *corev1.NodeSelector, node *corev1.Node) bool {
	for _, term := range required.NodeSelectorTerms {
		if len(term.MatchExpressions)+len(term.MatchFields) > 0 && termMeets(term, node) {
			return true
		}
	}
	return false
}

func termMeets(term corev1.NodeSelectorTerm, node *corev1.Node) bool {
	for _, r := range term.MatchExpressions {
		made, err := requirement(r)
		if err != nil || !made.Matches(labels.Set(node.Labels)) {
			return false
		}
	}
	for _, r := range term.MatchFields {
		is := len(r.Values) == 1 && r.Values[0] == node.Name
		if is != (r.Operator == corev1.NodeSelectorOpIn) {
			return false
		}
	}
	return true
}
