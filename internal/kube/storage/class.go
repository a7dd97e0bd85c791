package storage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// The annotations that make a StorageClass the cluster's default.
var defaultClass = []string{"storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"}

// Default returns the default of all classes, of several the youngest, as
// admission has it; nil for none.
func Default(classes []storagev1.StorageClass) *storagev1.StorageClass {
	var found *storagev1.StorageClass
	for i := range classes {
		class := &classes[i]
		for _, annotation := range defaultClass {
			if class.Annotations[annotation] == "true" && (found == nil || found.CreationTimestamp.Before(&class.CreationTimestamp)) {
				found = class
			}
		}
	}
	return found
}

const (
	// patience is how long a claim may wait for its volume.
	patience = 2 * time.Minute
	// maxListed bounds the claims, the nodes and the events that are looked at.
	maxListed = 1000
	// selectedNode is on a claim whose pod has a node: its volume may be made.
	selectedNode = "volume.kubernetes.io/selected-node"
	// provisioningFailed is the reason of a provisioner's events about a claim
	// that it made no volume for.
	provisioningFailed = "ProvisioningFailed"
)

// Trouble returns what shows that claims of a class get no volumes, "" when nothing
// does. Where the account may not list the claims of all namespaces, it looks at
// those of one.
func Trouble(ctx context.Context, c kubernetes.Interface, namespace string, class *storagev1.StorageClass, now time.Time) (string, error) {
	if why, err := unreachable(ctx, c, class); why != "" || err != nil {
		return why, err
	}
	claims, err := claimsOf(ctx, c, namespace, class.Name)
	if err != nil || slices.ContainsFunc(claims, isBound) {
		return "", err
	}
	for i := range claims {
		claim := &claims[i]
		said, err := failure(ctx, c, claim)
		if err != nil {
			return "", err
		}
		if said == "" && !overdue(claim, class, now) {
			continue
		}
		why := fmt.Sprintf("the claim %s of namespace %s waits for one since %s", claim.Name, claim.Namespace, claim.CreationTimestamp.UTC().Format("2006-01-02 15:04 UTC"))
		if said != "" {
			why += ": " + said
		}
		return why, nil
	}
	return "", nil
}

// claimsOf returns the claims of a class that may be seen.
func claimsOf(ctx context.Context, c kubernetes.Interface, namespace, class string) ([]corev1.PersistentVolumeClaim, error) {
	for _, in := range []string{metav1.NamespaceAll, namespace} {
		list, err := c.CoreV1().PersistentVolumeClaims(in).List(ctx, metav1.ListOptions{Limit: maxListed})
		if apierrors.IsForbidden(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list volume claims: %w", err)
		}
		return slices.DeleteFunc(list.Items, func(c corev1.PersistentVolumeClaim) bool {
			return c.Spec.StorageClassName == nil || *c.Spec.StorageClassName != class
		}), nil
	}
	return nil, nil
}

func isBound(c corev1.PersistentVolumeClaim) bool { return c.Status.Phase == corev1.ClaimBound }

// overdue reports whether a claim should have a volume by now: one of a class that
// waits for a pod is asked for once the pod has a node.
func overdue(claim *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, now time.Time) bool {
	late := class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer
	if late && claim.Annotations[selectedNode] == "" {
		return false
	}
	return now.Sub(claim.CreationTimestamp.Time) > patience
}

// failure returns what the provisioner said last of a claim that it could not serve.
func failure(ctx context.Context, c kubernetes.Interface, claim *corev1.PersistentVolumeClaim) (string, error) {
	events, err := c.CoreV1().Events(claim.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.kind=PersistentVolumeClaim,involvedObject.name=" + claim.Name + ",reason=" + provisioningFailed, Limit: maxListed,
	})
	if apierrors.IsForbidden(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("list events of volume claims: %w", err)
	}
	said, at := "", time.Time{}
	for _, e := range events.Items {
		if e.InvolvedObject.UID == claim.UID && !e.LastTimestamp.Time.Before(at) {
			said, at = strings.TrimSpace(e.Message), e.LastTimestamp.Time
		}
	}
	return said, nil
}

// unreachable returns why none of the nodes reaches volumes of a class, "" when one
// does or the nodes may not be seen.
func unreachable(ctx context.Context, c kubernetes.Interface, class *storagev1.StorageClass) (string, error) {
	if len(class.AllowedTopologies) == 0 {
		return "", nil
	}
	nodes, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: maxListed})
	if apierrors.IsForbidden(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("list nodes: %w", err)
	}
	var wanted []string
	for _, term := range class.AllowedTopologies {
		for i := range nodes.Items {
			if inTopology(nodes.Items[i].Labels, term) {
				return "", nil
			}
		}
		for _, e := range term.MatchLabelExpressions {
			wanted = append(wanted, e.Key+" in "+strings.Join(e.Values, ", "))
		}
	}
	return "its volumes are for nodes with " + strings.Join(wanted, "; ") + ", and no node has that", nil
}

// inTopology reports whether a node's labels meet all of a term.
func inTopology(labels map[string]string, term corev1.TopologySelectorTerm) bool {
	return !slices.ContainsFunc(term.MatchLabelExpressions, func(e corev1.TopologySelectorLabelRequirement) bool {
		return !slices.Contains(e.Values, labels[e.Key])
	})
}
