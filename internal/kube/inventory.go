package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
)

const inventoryKey = "inventory.json"

// Inventory is what the installer knows it put into the namespace, kept there
// in a ConfigMap: the next deploy prunes by it, from any machine.
type Inventory struct {
	SatelliteID string   `json:"satellite_id"`
	LaunchID    string   `json:"launch_id"`
	Wanted      int      `json:"wanted_version"`    // satellite version of the last deploy begun
	Installed   int      `json:"installed_version"` // of the last deploy done; 0 is none
	Config      string   `json:"config,omitempty"`  // of the routes and keys that every engine said it uses
	Run         string   `json:"run,omitempty"`     // the rollout that began last, "" when it is done
	History     []Past   `json:"history,omitempty"` // versions to roll back to, the youngest last
	Objects     []Object `json:"objects"`
}

// Past is a satellite version that was ready once, and can be again.
type Past struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"` // when it was ready first
}

// Object names one object of the inventory.
type Object struct {
	APIVersion string `json:"api_version"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
}

// String gives kind/name.
func (o Object) String() string { return o.Kind + "/" + o.Name }

// same ignores the API version, which a newer cluster may have moved on from.
func (o Object) same(other Object) bool {
	return o.Kind == other.Kind && o.Name == other.Name
}

func objectOf(u *unstructured.Unstructured) Object {
	return Object{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Name: u.GetName()}
}

// Inventory reads the namespace's inventory, of whatever launch; nil when it
// has none.
func (c *Cluster) Inventory(ctx context.Context) (*Inventory, error) {
	inventory, _, err := c.inventory(ctx)
	return inventory, err
}

// readInventory gives nil for one that was only just created.
func readInventory(object *unstructured.Unstructured) (*Inventory, error) {
	data, found, _ := unstructured.NestedString(object.Object, "data", inventoryKey)
	if !found && len(object.GetLabels()) == 0 {
		return nil, nil
	}
	var inventory Inventory
	if err := json.Unmarshal([]byte(data), &inventory); err != nil {
		return nil, fmt.Errorf("read ConfigMap/%s of namespace %s: %w", InventoryName, object.GetNamespace(), err)
	}
	return &inventory, nil
}

// union gives both lists, each object once, in a stable order.
func union(a, b []Object) []Object {
	all := slices.Clone(a)
	for _, o := range b {
		if !slices.ContainsFunc(all, o.same) {
			all = append(all, o)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].String() < all[j].String() })
	return all
}

// missing gives the objects of old that wanted no longer has.
func missing(old, wanted []Object) []Object {
	var gone []Object
	for _, o := range old {
		if !slices.ContainsFunc(wanted, o.same) {
			gone = append(gone, o)
		}
	}
	return gone
}

// inventoryObject is the inventory as it is applied.
func inventoryObject(plan *bundle.Plan, namespace string, inventory Inventory) (*unstructured.Unstructured, error) {
	data, err := json.MarshalIndent(inventory, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the inventory: %w", err)
	}
	r := renderer{Input: Input{Plan: plan, Settings: Settings{Namespace: namespace}}}
	meta := r.meta(InventoryName, "inventory")
	meta.Labels[LabelVersion] = strconv.Itoa(inventory.Wanted)
	labels := map[string]any{}
	for k, v := range meta.Labels {
		labels[k] = v
	}
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": InventoryName, "namespace": namespace, "labels": labels},
		"data":     map[string]any{inventoryKey: string(data)},
	}}
	return object, seal(object)
}

// names lists objects for a message.
func names(objects []Object) string {
	parts := make([]string, len(objects))
	for i, o := range objects {
		parts[i] = o.String()
	}
	return strings.Join(parts, ", ")
}

// keysOf lists a map's keys for a message.
func keysOf[V any](m map[string]V) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return "none"
	}
	sort.Strings(keys)
	return strings.Join(keys, ", ")
}

func sorted(list []string) []string {
	sort.Strings(list)
	return list
}
