package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

const inventoryKey = "inventory.json"

// Inventory is what the installer knows it put into the namespace, kept there
// in a ConfigMap: the next deploy prunes by it, from any machine.
type Inventory struct {
	SatelliteID string        `json:"satellite_id"`
	LaunchID    string        `json:"launch_id"`
	Wanted      int           `json:"wanted_version"`    // satellite version of the last deploy begun
	Installed   int           `json:"installed_version"` // of the last deploy done; 0 is none
	Config      string        `json:"config,omitempty"`  // of the routes and keys that every engine said it uses
	RolloutID   string        `json:"run,omitempty"`     // the rollout that began last, "" when it is done
	Back        bool          `json:"back,omitempty"`    // the rollout that began last is a rollback
	History     []PastVersion `json:"history,omitempty"` // versions to roll back to, that which was ready last at the end
	Objects     objectList    `json:"objects"`
}

// PastVersion is a satellite version that was ready once, and can be again.
type PastVersion struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"` // when it was ready first

	// RolledBack says that it was gone back from, to one that was ready before.
	RolledBack bool `json:"rolled_back,omitempty"`
}

// Object names one object of the inventory.
type Object struct {
	APIVersion string `json:"api_version"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
}

// objectList is written as names by API version and kind: a satellite of 500
// algorithms has two thousand objects, and failed deploys leave theirs beside.
type objectList []Object

// MarshalJSON writes {"apps/v1 Deployment": ["NAME", …]}.
func (l objectList) MarshalJSON() ([]byte, error) {
	names := map[string][]string{}
	for _, o := range l {
		kind := o.APIVersion + " " + o.Kind
		names[kind] = append(names[kind], o.Name)
	}
	return json.Marshal(names)
}

// UnmarshalJSON reads what MarshalJSON writes, and the list of objects that
// was written before.
func (l *objectList) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("[")) {
		return json.Unmarshal(data, (*[]Object)(l))
	}
	var names map[string][]string
	if err := json.Unmarshal(data, &names); err != nil {
		return err
	}
	*l = nil
	for _, kind := range slices.Sorted(maps.Keys(names)) {
		version, kind, _ := strings.Cut(kind, " ")
		for _, name := range names[version+" "+kind] {
			*l = append(*l, Object{version, kind, name})
		}
	}
	return nil
}

// KindName returns the kind, with its group where others have a kind of that name.
func (o Object) KindName() string { return render.KindName(o.APIVersion, o.Kind) }

// String returns kind/name.
func (o Object) String() string { return o.KindName() + "/" + o.Name }

// Same ignores the API's version, which a newer cluster may have moved on from.
func (o Object) Same(other Object) bool {
	return o.KindName() == other.KindName() && o.Name == other.Name
}

// ObjectsOf names objects.
func ObjectsOf(objects []*unstructured.Unstructured) []Object {
	list := make([]Object, len(objects))
	for i, o := range objects {
		list[i] = ObjectOf(o)
	}
	return list
}

// ObjectOf names an object.
func ObjectOf(u *unstructured.Unstructured) Object {
	return Object{APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Name: u.GetName()}
}

// Deployments returns the names of the inventory's objects that run pods.
func (i *Inventory) Deployments() []string {
	var names []string
	for _, o := range i.Objects {
		if render.RunsPods(o.Kind) {
			names = append(names, o.Name)
		}
	}
	return names
}

// Named returns the names of the inventory's objects of a kind, as KindName has it.
func (i *Inventory) Named(kind string) []string {
	var names []string
	for _, o := range i.Objects {
		if o.KindName() == kind {
			names = append(names, o.Name)
		}
	}
	return names
}

// ReadInventory reads the namespace's inventory, of whatever launch; nil when it
// has none.
func ReadInventory(ctx context.Context, c *cluster.Cluster) (*Inventory, error) {
	inventory, _, err := ReadInventoryVersion(ctx, c)
	return inventory, err
}

// decodeInventory returns nil for one that was only just created.
func decodeInventory(object *unstructured.Unstructured) (*Inventory, error) {
	data, found, _ := unstructured.NestedString(object.Object, "data", inventoryKey)
	if !found && len(object.GetLabels()) == 0 {
		return nil, nil
	}
	var inventory Inventory
	if err := json.Unmarshal([]byte(data), &inventory); err != nil {
		return nil, fmt.Errorf("read ConfigMap/%s of namespace %s: %w", render.InventoryName, object.GetNamespace(), err)
	}
	return &inventory, nil
}

// Union returns both lists, each object once, in a stable order.
func Union(a, b []Object) []Object {
	all := slices.Clone(a)
	for _, o := range b {
		if !slices.ContainsFunc(all, o.Same) {
			all = append(all, o)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].String() < all[j].String() })
	return all
}

// Missing returns the objects of old that wanted no longer has.
func Missing(old, wanted []Object) []Object {
	var gone []Object
	for _, o := range old {
		if !slices.ContainsFunc(wanted, o.Same) {
			gone = append(gone, o)
		}
	}
	return gone
}

// InventoryObject returns the inventory as it is applied.
func InventoryObject(plan *bundle.Plan, namespace string, inventory Inventory) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(inventory)
	if err != nil {
		return nil, fmt.Errorf("write the inventory: %w", err)
	}
	labels := map[string]any{}
	for k, v := range render.LaunchLabels(plan, render.InventoryName, "inventory") {
		labels[k] = v
	}
	labels[render.LabelVersion] = strconv.Itoa(inventory.Wanted)
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": render.InventoryName, "namespace": namespace, "labels": labels},
		"data":     map[string]any{inventoryKey: string(data)},
	}}
	return object, render.Seal(object)
}
