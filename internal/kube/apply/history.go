package apply

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
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

const (
	// historyKept is how many versions can be rolled back to.
	historyKept = 10
	// historyLargest is what a ConfigMap has room for.
	historyLargest = 900 << 10
	historyKey     = "objects.json.gz"
)

// ErrNoHistory is wrapped by LoadVersion when a version is not kept.
var ErrNoHistory = errors.New("that version is not kept")

// historyName is the ConfigMap that keeps a version's objects.
func historyName(version int) string { return "constellation-history-" + strconv.Itoa(version) }

// Remember keeps the objects of a version that is ready, without any Secret:
// going back to them brings no revoked key back. It notes the version in the
// inventory's history, as the one that was ready last.
func (a *Applier) Remember(ctx context.Context, plan *bundle.Plan, objects []*unstructured.Unstructured, back bool, inventory *Inventory) error {
	version := plan.Satellite.Version
	object, err := HistoryConfigMap(plan, a.Cluster.Namespace, objects)
	if errors.Is(err, ErrTooLarge) {
		a.Observer.Report("! version %d is too large to be kept for a rollback", version)
		return nil
	}
	if err != nil {
		return err
	}
	if err := a.put(ctx, object); err != nil {
		return err
	}
	if last := len(inventory.History) - 1; last < 0 || inventory.History[last].Version != version || inventory.History[last].RolledBack {
		inventory.History = arrived(inventory.History, PastVersion{Version: version, At: time.Now().UTC().Truncate(time.Second)}, back)
	}
	for len(inventory.History) > historyKept {
		oldest := inventory.History[0]
		if _, err := a.delete(ctx, HistoryObject(oldest.Version)); err != nil {
			return err
		}
		inventory.History = inventory.History[1:]
	}
	return nil
}

// HistoryObject names the object that keeps a version.
func HistoryObject(version int) Object {
	return Object{APIVersion: "v1", Kind: "ConfigMap", Name: historyName(version)}
}

// ErrTooLarge is a version that is too large to be kept.
var ErrTooLarge = errors.New("too large for a ConfigMap")

// HistoryConfigMap returns the object that keeps a version; the error is
// ErrTooLarge when it would not fit.
func HistoryConfigMap(plan *bundle.Plan, namespace string, objects []*unstructured.Unstructured) (*unstructured.Unstructured, error) {
	var public []map[string]any
	for _, o := range objects {
		if o.GetKind() != "Secret" {
			public = append(public, o.Object)
		}
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if err := errors.Join(json.NewEncoder(w).Encode(public), w.Close()); err != nil {
		return nil, fmt.Errorf("keep version %d: %w", plan.Satellite.Version, err)
	}
	text := base64.StdEncoding.EncodeToString(packed.Bytes())
	if len(text) > historyLargest {
		return nil, ErrTooLarge
	}
	object, err := InventoryObject(plan, namespace, Inventory{Wanted: plan.Satellite.Version})
	if err != nil {
		return nil, err
	}
	object.SetName(historyName(plan.Satellite.Version))
	object.SetAnnotations(nil)
	delete(object.Object, "data")
	object.Object["binaryData"] = map[string]any{historyKey: text}
	return object, render.Seal(object)
}

// LoadVersion returns the objects of a version that is kept, with the Secrets as they
// are now, ready for a Rollout. The error wraps ErrNoHistory when it is not.
func LoadVersion(ctx context.Context, c *cluster.Cluster, plan *bundle.Plan, inventory *Inventory, version int) ([]*unstructured.Unstructured, error) {
	if !slices.ContainsFunc(inventory.History, func(p PastVersion) bool { return p.Version == version }) {
		return nil, fmt.Errorf("version %d: %w", version, ErrNoHistory)
	}
	kept, err := c.Get(ctx, "v1", "ConfigMap", historyName(version))
	if err != nil {
		return nil, err
	}
	if kept == nil || kept.GetLabels()[render.LabelLaunch] != plan.Launch.ID {
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
		live, err := c.Get(ctx, o.APIVersion, o.Kind, o.Name)
		if err != nil {
			return nil, err
		}
		if live != nil && live.GetLabels()[render.LabelLaunch] == plan.Launch.ID {
			objects = append(objects, Writable(live))
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

// Writable returns an object as it can be applied: without what the server
// writes.
func Writable(live *unstructured.Unstructured) *unstructured.Unstructured {
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

// arrived notes that a version got ready: it is the youngest of the history.
// Those that got ready after it and were left for it are marked.
func arrived(history []PastVersion, version PastVersion, back bool) []PastVersion {
	history = slices.Clone(history)
	if at := slices.IndexFunc(history, func(p PastVersion) bool { return p.Version == version.Version }); at >= 0 {
		version.At = history[at].At
		for n := range history[at+1:] {
			history[at+1+n].RolledBack = history[at+1+n].RolledBack || back
		}
		history = slices.Delete(history, at, at+1)
	}
	return append(history, version)
}
