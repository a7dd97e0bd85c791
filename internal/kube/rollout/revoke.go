package rollout

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Revoke takes the keys that a plan no longer has from the launch's engines,
// and returns their names. It makes the engines' Secret smaller and touches
// nothing else, so that a revoked key stops working though the rest of a
// deploy does not fit, or does not get ready.
func Revoke(ctx context.Context, c *cluster.Cluster, plan *bundle.Plan) ([]string, error) {
	live, err := c.Get(ctx, "v1", "Secret", render.EngineName)
	if err != nil || live == nil || live.GetLabels()[render.LabelLaunch] != plan.Launch.ID {
		return nil, err
	}
	text, _, _ := unstructured.NestedString(live.Object, "data", config.KeysFile)
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("read Secret/%s: %w", render.EngineName, err)
	}
	keys, err := config.ParseKeys(data)
	if err != nil {
		return nil, fmt.Errorf("read Secret/%s: %w", render.EngineName, err)
	}
	if plan.Satellite.AccessVersion < keys.Version {
		return nil, nil // what an older plan lacks was made since
	}
	revoked := without(keys, plan)
	if len(revoked) == 0 {
		return nil, nil
	}
	if data, err = keys.Encode(); err != nil {
		return nil, fmt.Errorf("write %s: %w", config.KeysFile, err)
	}
	object := apply.Writable(live)
	object.SetResourceVersion(live.GetResourceVersion()) // not over what another deploy writes now
	annotations := object.GetAnnotations()
	delete(annotations, render.AnnotationDigest)
	object.SetAnnotations(annotations)
	if err := unstructured.SetNestedField(object.Object, base64.StdEncoding.EncodeToString(data), "data", config.KeysFile); err != nil {
		return nil, fmt.Errorf("write %s: %w", config.KeysFile, err)
	}
	if err := (&apply.Applier{Cluster: c, LaunchID: plan.Launch.ID}).Apply(ctx, object); err != nil {
		return nil, err
	}
	probeOnce(ctx, c, plan.Launch.ID, []*unstructured.Unstructured{object})
	return revoked, nil
}

// without takes out of keys those that the plan does not have, but for the
// satellite's own, and returns their names. It notes them too: engines may know
// of them from elsewhere.
func without(keys *config.Keys, plan *bundle.Plan) (revoked []string) {
	kept := map[string]bool{config.InternalKeyID: true}
	for _, k := range plan.Keys {
		kept[k.ID] = true
	}
	keys.Keys = slices.DeleteFunc(keys.Keys, func(k config.Key) bool {
		if !kept[k.ID] {
			revoked, keys.Revoked = append(revoked, k.Name), append(keys.Revoked, k.ID)
		}
		return !kept[k.ID]
	})
	return revoked
}
