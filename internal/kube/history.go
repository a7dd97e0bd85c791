package kube

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
)

const (
	// historyKept is how many versions can be rolled back to.
	historyKept = 10
	// historyLargest is what a ConfigMap has room for.
	historyLargest = 900 << 10
	historyKey     = "objects.json.gz"
)

// ErrNoHistory is wrapped by Past when a version is not kept.
var ErrNoHistory = errors.New("that version is not kept")

// historyName is the ConfigMap that keeps a version's objects.
func historyName(version int) string { return "constellation-history-" + strconv.Itoa(version) }

// remember keeps the objects of a version that is ready, without any Secret:
// going back to them brings no revoked key back.
func (c *Cluster) remember(ctx context.Context, r Rollout, inventory *Inventory) error {
	version := r.Plan.Satellite.Version
	object, err := c.historyObject(r)
	if errors.Is(err, errTooLarge) {
		r.Report("! version %d is too large to be kept for a rollback", version)
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.put(ctx, object); err != nil {
		return err
	}
	if !slices.ContainsFunc(inventory.History, func(p Past) bool { return p.Version == version }) {
		inventory.History = append(slices.Clone(inventory.History), Past{Version: version, At: time.Now().UTC().Truncate(time.Second)})
	}
	for len(inventory.History) > historyKept {
		oldest := inventory.History[0]
		if _, err := c.delete(ctx, r.Plan.Launch.ID, historyEntry(oldest.Version)); err != nil {
			return err
		}
		inventory.History = inventory.History[1:]
	}
	return nil
}

func historyEntry(version int) Object {
	return Object{APIVersion: "v1", Kind: "ConfigMap", Name: historyName(version)}
}

var errTooLarge = errors.New("too large for a ConfigMap")

func (c *Cluster) historyObject(r Rollout) (*unstructured.Unstructured, error) {
	var public []map[string]any
	for _, o := range r.Objects {
		if o.GetKind() != "Secret" {
			public = append(public, o.Object)
		}
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if err := errors.Join(json.NewEncoder(w).Encode(public), w.Close()); err != nil {
		return nil, fmt.Errorf("keep version %d: %w", r.Plan.Satellite.Version, err)
	}
	text := base64.StdEncoding.EncodeToString(packed.Bytes())
	if len(text) > historyLargest {
		return nil, errTooLarge
	}
	object, err := inventoryObject(r.Plan, c.Namespace, Inventory{Wanted: r.Plan.Satellite.Version})
	if err != nil {
		return nil, err
	}
	object.SetName(historyName(r.Plan.Satellite.Version))
	object.SetAnnotations(nil)
	delete(object.Object, "data")
	object.Object["binaryData"] = map[string]any{historyKey: text}
	return object, seal(object)
}

// Past gives the objects of a version that is kept, with the Secrets as they
// are now, ready for a Rollout. The error wraps ErrNoHistory when it is not.
func (c *Cluster) Past(ctx context.Context, plan *bundle.Plan, inventory *Inventory, version int) ([]*unstructured.Unstructured, error) {
	if !slices.ContainsFunc(inventory.History, func(p Past) bool { return p.Version == version }) {
		return nil, fmt.Errorf("version %d: %w", version, ErrNoHistory)
	}
	kept, err := c.get(ctx, "v1", "ConfigMap", historyName(version))
	if err != nil {
		return nil, err
	}
	if kept == nil || kept.GetLabels()[LabelLaunch] != plan.Launch.ID {
		return nil, fmt.Errorf("version %d: %w: ConfigMap/%s is gone", version, ErrNoHistory, historyName(version))
	}
	objects, err := unpackHistory(kept)
	if err != nil {
		return nil, fmt.Errorf("read version %d: %w", version, err)
	}
	for _, o := range inventory.Objects {
		if o.Kind != "Secret" {
			continue
		}
		live, err := c.get(ctx, o.APIVersion, o.Kind, o.Name)
		if err != nil {
			return nil, err
		}
		if live != nil && live.GetLabels()[LabelLaunch] == plan.Launch.ID {
			objects = append(objects, bare(live))
		}
	}
	return objects, nil
}

func unpackHistory(kept *unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	text, _, _ := unstructured.NestedString(kept.Object, "binaryData", historyKey)
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(reader, 64<<20))
	if err != nil {
		return nil, err
	}
	var list unstructured.UnstructuredList // its decoder keeps whole numbers whole
	if err := list.UnmarshalJSON(fmt.Appendf(nil, `{"kind":"List","apiVersion":"v1","items":%s}`, data)); err != nil {
		return nil, err
	}
	objects := make([]*unstructured.Unstructured, len(list.Items))
	for i := range list.Items {
		objects[i] = &list.Items[i]
	}
	return objects, nil
}

// bare is an object as it can be applied: without what the server writes.
func bare(live *unstructured.Unstructured) *unstructured.Unstructured {
	object := live.DeepCopy()
	delete(object.Object, "status")
	metadata := map[string]any{"name": live.GetName(), "namespace": live.GetNamespace()}
	full, _ := object.Object["metadata"].(map[string]any)
	for _, key := range []string{"labels", "annotations"} {
		if v, ok := full[key]; ok {
			metadata[key] = v
		}
	}
	object.Object["metadata"] = metadata
	return object
}
