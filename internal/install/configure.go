package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/constellation-serving/constellation/internal/kube"
)

// Value is a key of the configuration as configure shows it.
type Value struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	State string `json:"state"` // set, default, missing or unset
	From  string `json:"from"`  // where the value comes from, "" for none
}

// Configured is what configure shows.
type Configured struct {
	Set    []Value  `json:"set,omitempty"` // what this run set
	Needed []string `json:"needed"`        // keys that a deploy still needs
	Values []Value  `json:"values"`        // all
}

func (c *configFile) configured(l *launch, set []string) *Configured {
	result := &Configured{Needed: []string{}, Values: c.origins(l, c.values())}
	for _, v := range result.Values {
		if v.State == "missing" {
			result.Needed = append(result.Needed, v.Key)
		}
	}
	for _, key := range set {
		s, path, _, _ := find(key)
		result.Set = append(result.Set, valueOf(s, key, c.get(path)))
	}
	return result
}

// Configure sets every "KEY=VALUE", or none when one is refused. A value that
// is empty goes back to the default. With online, what is set is also tried:
// the registry has to answer and to take the login, and names have to resolve.
func Configure(ctx context.Context, f Folder, assignments []string, online bool, progress *Progress) (*Configured, error) {
	l, err := openLaunch(f)
	if err != nil {
		return nil, err
	}
	if len(assignments) == 0 {
		c, err := readConfig(f)
		if err != nil {
			return nil, err
		}
		return c.configured(l, nil), nil
	}
	unlock, err := f.lock(ctx, "configure", progress.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := readConfig(f)
	if err != nil {
		return nil, err
	}
	var wrong, set []string
	for _, assignment := range assignments {
		key, err := c.assign(l, assignment, online)
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		if !slices.Contains(set, key) {
			set = append(set, key)
		}
	}
	if len(wrong) > 0 {
		return nil, errorf(CodeUsage, "%s; nothing was changed", strings.Join(wrong, "\n"))
	}
	data, err := c.bytes()
	if err != nil {
		return nil, err
	}
	if err := c.decode(data); err != nil {
		return nil, wrap(err, CodeUsage, "the configuration would not read back; nothing was changed")
	}
	if err := c.together(online); err != nil {
		return nil, err
	}
	if online {
		if err := c.try(ctx, l, set); err != nil {
			return nil, interrupted(ctx, err, "configure")
		}
	}
	if err := writeFile(f.Path("config.yaml"), data); err != nil {
		return nil, wrap(err, CodeFailed, "write the configuration")
	}
	return c.configured(l, set), nil
}

// assign checks and sets one KEY=VALUE.
func (c *configFile) assign(l *launch, assignment string, online bool) (key string, err error) {
	key, value, ok := strings.Cut(assignment, "=")
	key, value = strings.TrimPrefix(strings.TrimSpace(key), "."), strings.TrimSpace(value)
	if !ok {
		return key, fmt.Errorf("%q is no KEY=VALUE", assignment)
	}
	s, path, chosen, ok := find(key)
	if !ok {
		return key, fmt.Errorf("there is no setting %q; did you mean %s", key, Nearest(key, settingKeys()))
	}
	if strings.Contains(s.key, "<vanity>") && value != "" {
		if err := known(l, chosen); err != nil {
			return key, err
		}
	}
	if strings.Contains(s.key, "<name>") && value != "" {
		if err := checkAnnotation(chosen); err != nil {
			return key, fmt.Errorf("%s: %w", key, err)
		}
	}
	if value == "" {
		if s.required {
			return key, fmt.Errorf("%s cannot be empty: a deploy needs it", key)
		}
		c.set(path, "", s.text)
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

// known refuses a vanity URL that the launch does not have.
func known(l *launch, vanityURL string) error {
	var all []string
	for _, a := range l.plan.Algorithms {
		if a.VanityURL == vanityURL {
			return nil
		}
		all = append(all, a.VanityURL)
	}
	switch {
	case len(all) == 0:
		return fmt.Errorf("this launch has no algorithms")
	case len(all) > mostListed:
		return fmt.Errorf("this launch has no algorithm at %q; did you mean %q", vanityURL, Nearest(vanityURL, all))
	}
	return fmt.Errorf("this launch has no algorithm at %q; it has %s", vanityURL, strings.Join(all, ", "))
}

// mostListed is how many algorithms a message lists.
const mostListed = 8

// together checks what only holds for several settings at once.
func (c *configFile) together(online bool) error {
	k := c.Stage.Kubernetes
	if k.KubeconfigPath == "" {
		return nil
	}
	if _, err := os.Stat(k.KubeconfigPath); err != nil && !online {
		return nil // it is on the machine that deploys
	}
	err := kube.CheckKubeconfig(k.KubeconfigPath, k.Context)
	if err != nil && (online || !errors.Is(err, kube.ErrPlugin)) {
		return wrap(err, CodeUsage, "nothing was changed: stage.kubernetes")
	}
	return nil
}

func settingKeys() []string {
	keys := make([]string, len(settings))
	for i, s := range settings {
		keys[i] = s.key
	}
	return keys
}

// values lists every key; of the open ones those that are set.
func (c *configFile) values() []Value {
	var list []Value
	for _, s := range settings {
		before, after, open := strings.Cut(s.key, "<")
		if !open {
			list = append(list, valueOf(s, s.key, c.get(strings.Split(s.key, "."))))
			continue
		}
		_, after, _ = strings.Cut(after, ">")
		for _, chosen := range c.chosen(s.key) {
			key := before + chosen + after
			_, path, _, _ := find(key)
			if value := c.get(path); value != "" {
				list = append(list, Value{key, value, "set", configOrigin})
			}
		}
	}
	return list
}

func valueOf(s setting, key, value string) Value {
	switch {
	case value != "":
		return Value{key, value, "set", configOrigin}
	case s.required:
		return Value{key, "", "missing", ""}
	case s.standard != "":
		return Value{key, s.standard, "default", "default"}
	}
	return Value{key, "", "unset", ""}
}

// configOrigin is where a value that was set comes from.
const configOrigin = "config.yaml"

// chosen gives the names that the operator gave values to, in order.
func (c *configFile) chosen(key string) []string {
	var names []string
	switch {
	case strings.HasPrefix(key, "stage.replicas."):
		names = mapKeys(c.Stage.Replicas)
	case strings.HasPrefix(key, "stage.resources."):
		names = mapKeys(c.Stage.Resources)
	default:
		names = mapKeys(c.Stage.Ingress.Annotations)
	}
	return names
}

func mapKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// complete says at once all that has to be set before a deploy; the spare keys
// are not looked at.
func (c *configFile) complete(f Folder, spare []string) error {
	var missing []string
	for _, v := range c.values() {
		if v.State == "missing" && !slices.Contains(spare, v.Key) {
			missing = append(missing, v.Key+"=…")
		}
	}
	if len(missing) > 0 {
		return errorf(CodeUsage, "not configured yet; run: algo-install satellite %s %s configure %s", f.SatelliteID, f.LaunchID, strings.Join(missing, " "))
	}
	for _, v := range c.values() { // a file edited by hand
		if s, _, _, ok := find(v.Key); ok && v.State == "set" && !slices.Contains(spare, v.Key) {
			if _, err := s.check(v.Value); err != nil {
				return wrap(err, CodeUsage, "%s in %s", v.Key, f.Path("config.yaml"))
			}
		}
	}
	return nil
}

// Nearest gives the candidate with the fewest edits from s, upper and lower
// case being the same.
func Nearest(s string, candidates []string) string {
	best, least := "", -1
	s = strings.ToLower(s)
	for _, candidate := range candidates {
		if d := distance(s, strings.ToLower(candidate)); least < 0 || d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := previous
			if a[i] != b[j] {
				cost = 1 + min(previous, row[j], row[j+1])
			}
			previous, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
