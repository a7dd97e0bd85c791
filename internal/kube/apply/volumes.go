package apply

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Volumes returns the claims of the volumes that a launch's queue has, also of
// pods that are gone. No deploy deletes them, and they are in no removal's
// objects: what is on them is only there.
func Volumes(ctx context.Context, c *cluster.Cluster, launchID string) ([]Object, error) {
	client, err := c.Resource("v1", "PersistentVolumeClaim")
	if err != nil {
		return nil, err
	}
	list, err := client.List(ctx, metav1.ListOptions{LabelSelector: render.LabelLaunch + "=" + launchID})
	if err != nil {
		return nil, fmt.Errorf("list the queue's volumes: %w", err)
	}
	var claims []Object
	for i := range list.Items {
		claims = append(claims, Object{APIVersion: "v1", Kind: "PersistentVolumeClaim", Name: list.Items[i].GetName()})
	}
	return claims, nil
}
