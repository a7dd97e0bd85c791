package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/kubeconfig"
	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Assign checks and sets one KEY=VALUE.
func (c *File) Assign(plan *bundle.Plan, assignment string, online bool) (key string, err error) {
	key, value, ok := strings.Cut(assignment, "=")
	key, value = strings.TrimPrefix(strings.TrimSpace(key), "."), strings.TrimSpace(value)
	if !ok {
		return key, fmt.Errorf("%q is no KEY=VALUE", assignment)
	}
	s, path, chosen, ok := find(key)
	if !ok {
		return key, unknownSetting(key)
	}
	if value != "" {
		if err := checkChosen(plan, s, key, path, chosen); err != nil {
			return key, err
		}
	}
	if value == "" {
		if s.required {
			return key, fmt.Errorf("%s cannot be empty: a deploy needs it", key)
		}
		c.set(path, "", s.text)
		return key, nil
	}
	if s.node != nil {
		node, err := s.node(value)
		if err != nil {
			return key, fmt.Errorf("%s %w", key, err)
		}
		c.put(path, node)
		return key, nil
	}
	normal, err := s.check(value)
	if missing := (*noFileError)(nil); errors.As(err, &missing) {
		if normal, err = missing.path, fmt.Errorf("%w; --no-check is for a file on the machine that deploys", missing); !online {
			err = nil
		}
	}
	if err != nil {
		return key, fmt.Errorf("%s %w", key, err)
	}
	c.set(path, normal, s.text)
	return key, nil
}

// TakeBack makes a key one that was never set, also one that a deploy needs.
func (c *File) TakeBack(key string) {
	if s, path, _, ok := find(key); ok {
		c.set(path, "", s.text)
	}
}

// nearest returns the key that is written most like another. One in which more is
// chosen than its name is long is known by how it begins.
func nearest(key string) string {
	for _, s := range table {
		if before, _, _ := s.open(); s.named() && strings.HasPrefix(key, before) {
			return s.key
		}
	}
	return constellation.Nearest(key, settingKeys())
}

// checkChosen holds what the operator chose of a key to its rules.
func checkChosen(plan *bundle.Plan, s setting, key string, path []string, chosen string) error {
	if strings.HasPrefix(key, placement.Root+".") {
		if chosen == "" {
			return nil
		}
		return known(plan, chosen)
	}
	name := chosen
	if s.named() {
		chosen, name = path[len(path)-2], path[len(path)-1]
	}
	if strings.Contains(s.key, "<vanity>") {
		if err := known(plan, chosen); err != nil {
			return err
		}
	}
	if !s.named() && !strings.Contains(s.key, "<name>") {
		return nil
	}
	if err := checkName(s, name); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// unknownSetting is the error of a key that is none, with the nearest that is.
func unknownSetting(key string) error {
	if strings.HasPrefix(key, placement.Root+".") {
		if _, err := placement.ParseKey(key); err != nil {
			return err
		}
	}
	return fmt.Errorf("there is no setting %q; did you mean %s", key, nearest(key))
}

// known refuses a vanity URL that the launch does not have.
func known(plan *bundle.Plan, vanityURL string) error {
	var all []string
	for _, a := range plan.Algorithms {
		if a.VanityURL == vanityURL {
			return nil
		}
		all = append(all, a.VanityURL)
	}
	switch {
	case len(all) == 0:
		return fmt.Errorf("this launch has no algorithms")
	case len(all) > mostListed:
		return fmt.Errorf("this launch has no algorithm at %q; did you mean %q", vanityURL, constellation.Nearest(vanityURL, all))
	}
	return fmt.Errorf("this launch has no algorithm at %q; it has %s", vanityURL, strings.Join(all, ", "))
}

// Values lists every key; of the open ones those that are set.
func (c *File) Values() []Value {
	var list []Value
	for _, s := range ownTable {
		before, after, open := s.open()
		if !open {
			list = append(list, c.valueOf(s, s.key, c.get(s.path())))
			continue
		}
		for _, chosen := range c.chosen(s.key) {
			key := before + chosen + after
			_, path, _, _ := find(key)
			if value := c.get(path); value != "" {
				list = append(list, c.valueOf(s, key, value))
			}
		}
	}
	return append(list, c.placementValues()...)
}

// ValuesFor is Values, with where a value comes from that was not set and has no
// fixed default: the kubeconfig, or the plan of the launch.
func (c *File) ValuesFor(plan *bundle.Plan) []Value {
	values := c.Values()
	context, err := kubeconfig.CurrentContext(c.Stage.Kubernetes.KubeconfigPath)
	for i, v := range values {
		if v.State != "unset" {
			continue
		}
		switch v.Key {
		case "stage.kubernetes.context":
			if err == nil && context != "" {
				values[i] = Value{Key: v.Key, Value: context, State: "default", From: "the kubeconfig"}
			}
		case "stage.fqdn":
			if c.Stage.Heartbeat != "off" {
				values[i] = Value{Key: v.Key, Value: plan.Mothership.URL, State: "default", From: "the launch's plan"}
			}
		case "stage.ingress.class":
			if class := render.Ingress(c.Stage.Ingress).IngressClass(); class != "" {
				values[i] = Value{Key: v.Key, Value: class, State: "default", From: "stage.ingress.provider"}
			}
		}
	}
	return values
}

// valueOf returns the value of a key, and where it comes from when it is not set.
func (c *File) valueOf(s setting, key, value string) Value {
	switch {
	case value != "":
		return Value{key, value, "set", c.originOf(key, value)}
	case s.required:
		return Value{key, "", "missing", ""}
	case s.standard != "":
		return Value{key, s.standard, "default", "default"}
	}
	return Value{key, "", "unset", ""}
}

// ConfigOrigin is where a value comes from that was set by hand.
const ConfigOrigin = "config.yaml"

// chosen returns the names that the operator gave values to, in order.
func (c *File) chosen(key string) []string {
	var names []string
	switch {
	case strings.HasPrefix(key, "stage.replicas."):
		names = slices.Sorted(maps.Keys(c.Stage.Replicas))
	case strings.HasPrefix(key, "stage.resources."):
		names = slices.DeleteFunc(slices.Sorted(maps.Keys(c.Stage.Resources)), func(name string) bool { return name == render.EngineResources || name == render.QueueResources })
	case key == envKey:
		names = c.Stage.Env.keys()
	case key == envFromKey:
		names = c.Stage.EnvFrom.keys()
	case key == secretsKey:
		names = c.Stage.Secrets.keys()
	case key == egressKey:
		names = slices.Sorted(maps.Keys(c.Stage.Egress))
	case key == volumesKey:
		names = c.Stage.Volumes.keys()
	default:
		names = slices.Sorted(maps.Keys(c.Stage.Ingress.Annotations))
	}
	return names
}

// CheckComplete returns at once all that has to be set before a deploy; the spare keys
// are not looked at.
func (c *File) CheckComplete(f store.Folder, spare []string) error {
	var missing []string
	for _, v := range c.Values() {
		if v.State == "missing" && !slices.Contains(spare, v.Key) {
			missing = append(missing, v.Key+"=…")
		}
	}
	if len(missing) > 0 {
		return fault.Errorf(fault.CodeUsage, "not configured yet; run: algo-install satellite %s %s configure %s", f.SatelliteID, f.LaunchID, strings.Join(missing, " "))
	}
	if _, err := placement.Parse(c.Stage.Placement); err != nil {
		return fault.Wrap(err, fault.CodeUsage, "%s", f.Path("config.yaml"))
	}
	for _, v := range c.Values() { // a file edited by hand
		if s, _, _, ok := find(v.Key); ok && v.State == "set" && !slices.Contains(spare, v.Key) {
			if _, err := s.check(v.Value); err != nil {
				return fault.Wrap(err, fault.CodeUsage, "%s in %s", v.Key, f.Path("config.yaml"))
			}
		}
	}
	return nil
}

// Needs returns the settings that a deploy needs and that neither the configuration
// nor what is said beside it has. What files set counts only while it is kept.
func (c *File) Needs(keeps func() bool, says func(key string) bool) []Setting {
	var needs []Setting
	for _, s := range All() {
		_, ofFile := c.origins[s.Key]
		if s.Required && !says(s.Key) && (c.Value(s.Key).State == "missing" || ofFile && !keeps()) {
			needs = append(needs, s)
		}
	}
	return needs
}

// Find returns a key of the table.
func Find(key string) Setting {
	all := All()
	return all[slices.IndexFunc(all, func(s Setting) bool { return s.Key == key })]
}

// Check returns what is wrong with a value of a key, nil for nothing.
func Check(key, value string) error {
	s, _, _, ok := find(key)
	if !ok {
		return fmt.Errorf("is no setting; did you mean %s", NearestKey(key))
	}
	_, err := s.check(value)
	return err
}

// Value is a key of the configuration as configure shows it.
type Value struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	State string `json:"state"` // set, default, missing or unset
	From  string `json:"from"`  // where the value comes from, "" for none
}

// mostListed is how many algorithms a message lists.
const mostListed = 8

// Value returns what a key is set to.
func (c *File) Value(key string) Value {
	s, path, _, _ := find(key)
	return c.valueOf(s, key, c.get(path))
}
