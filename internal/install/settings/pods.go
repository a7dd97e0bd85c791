package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Named are values by vanity URL and by what the operator calls them.
type Named map[string]map[string]string

// keys returns VANITY_URL.NAME of every value, in order.
func (n Named) keys() []string {
	var keys []string
	for vanity, values := range n {
		for name := range values {
			keys = append(keys, vanity+"."+name)
		}
	}
	slices.Sort(keys)
	return keys
}

// secretTyped is what config.yaml has of a secret: that its value was typed, and
// is in the cluster.
const secretTyped = "typed"

// Pods returns what the operator gave the algorithms' pods here. The error is a
// sentence that begins with its key.
func (s Stage) Pods() (map[string]render.PodOverrides, error) {
	pods := map[string]render.PodOverrides{}
	add := func(named Named, kind string, put func(o *render.PodOverrides, name, value string) error) error {
		for _, vanity := range slices.Sorted(maps.Keys(named)) {
			over := pods[vanity]
			for _, name := range slices.Sorted(maps.Keys(named[vanity])) {
				if err := put(&over, name, named[vanity][name]); err != nil {
					return fmt.Errorf("stage.%s.%s.%s %w", kind, vanity, name, err)
				}
			}
			pods[vanity] = over
		}
		return nil
	}
	return pods, errors.Join(
		add(s.Env, "env", func(o *render.PodOverrides, name, value string) error {
			text, err := readValue(value)
			if o.Env == nil {
				o.Env = map[string]string{}
			}
			o.Env[name] = text
			return err
		}),
		add(s.EnvFrom, "env_from", func(o *render.PodOverrides, name, value string) error {
			f, err := readEnvFrom(name, value)
			o.EnvFrom = append(o.EnvFrom, f)
			return err
		}),
		add(s.Volumes, "volumes", func(o *render.PodOverrides, name, value string) error {
			v, err := constellation.ParseVolume(name, value)
			o.Volumes = append(o.Volumes, v)
			return err
		}),
		add(s.Secrets, "secrets", func(o *render.PodOverrides, name, value string) error {
			o.Secrets = append(o.Secrets, name)
			_, err := checkTyped(value)
			return err
		}),
	)
}

// readValue returns the value of a variable: one that starts with a quotation mark
// is a JSON string, for what a line cannot have.
func readValue(value string) (text string, err error) {
	if !strings.HasPrefix(value, `"`) {
		return value, nil
	}
	if err := json.Unmarshal([]byte(value), &text); err != nil {
		return "", errors.New(`starts with a quotation mark and is no JSON string, such as "two\nlines"`)
	}
	return text, nil
}

func checkEnv(value string) (string, error) {
	text, err := readValue(value)
	if err != nil {
		return "", err
	}
	return value, ofValidation(func(v *constellation.Validation) { constellation.CheckEnvValue(v, "", text) })
}

// readEnvFrom reads secret:NAME/KEY for the variable name; without /KEY, all keys
// are variables, and the name is only that of the setting.
func readEnvFrom(name, value string) (constellation.EnvFrom, error) {
	if _, rest, ok := strings.Cut(value, ":"); ok && !strings.Contains(rest, "/") {
		name = ""
	}
	return constellation.ParseEnvFrom(name, value)
}

func checkEnvFrom(value string) (string, error) {
	f, err := readEnvFrom("NAME", value)
	if err != nil {
		return "", alone(err)
	}
	return value, alone(checkSettings(constellation.PodSettings{EnvFrom: []constellation.EnvFrom{f}}))
}

func checkVolume(value string) (string, error) {
	volume, err := constellation.ParseVolume("x", value)
	if err != nil {
		return "", alone(err)
	}
	return value, alone(checkSettings(constellation.PodSettings{Volumes: []constellation.Volume{volume}}))
}

func checkSettings(s constellation.PodSettings) error {
	var v constellation.Validation
	s.Check(&v, "")
	return v.Err()
}

// alone returns an error of the domain, or nil, without the names of its fields:
// there is but one.
func alone(err error) error {
	var e *constellation.Error
	if !errors.As(err, &e) {
		return err
	}
	if len(e.Fields) == 0 {
		return errors.New("is refused: " + e.Message)
	}
	return errors.New("is refused: " + e.Fields[0].Message)
}

func checkTyped(value string) (string, error) {
	if value != secretTyped {
		return "", errors.New("is not for a value: 'configure --secret stage.env.VANITY_URL.NAME -' reads it, and puts it into the cluster alone")
	}
	return value, nil
}

// ofValidation returns what check finds, as one sentence.
func ofValidation(check func(v *constellation.Validation)) error {
	var v constellation.Validation
	check(&v)
	err := v.Err()
	var e *constellation.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		return err
	}
	told := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		told[i] = strings.TrimPrefix(f.Field+": "+f.Message, ": ")
	}
	return errors.New(strings.Join(told, "; "))
}

// CheckPods returns what does not go together of what the plan and the operator
// give the algorithms' pods.
func (s Stage) CheckPods(plan *bundle.Plan) error {
	pods, err := s.Pods()
	if err != nil {
		return err
	}
	for _, a := range plan.Algorithms {
		over := pods[a.VanityURL]
		for _, name := range over.Secrets {
			_, plain := over.Env[name]
			if plain || slices.ContainsFunc(over.EnvFrom, func(f constellation.EnvFrom) bool { return f.Name == name }) {
				return fmt.Errorf("%s of %s is a secret here, and has another value in stage.env or stage.env_from; take one back with KEY=, or with 'configure --secret stage.env.%s.%s'", name, a.VanityURL, a.VanityURL, name)
			}
		}
		if err := (render.Input{Plan: plan, Settings: render.Settings{Pods: pods}}).CheckPodSettings(a); err != nil {
			return ofError(err)
		}
	}
	return nil
}

// ofError returns an error of the domain with its fields, as one sentence.
func ofError(err error) error {
	var e *constellation.Error
	if !errors.As(err, &e) {
		return err
	}
	return ofValidation(func(v *constellation.Validation) {
		for _, f := range e.Fields {
			v.Add(f.Field, "%s", f.Message)
		}
	})
}

// SecretKey reads the key of a secret, stage.env.VANITY_URL.NAME, of an algorithm
// that the launch has.
func SecretKey(plan *bundle.Plan, key string) (vanityURL, variable string, err error) {
	key = strings.TrimPrefix(strings.TrimSpace(key), ".")
	s, path, _, ok := find(key)
	if !ok || s.key != envKey {
		return "", "", fmt.Errorf("--secret takes a key such as stage.env.foo/bar.TOKEN, and not %q", key)
	}
	vanityURL, variable = path[2], path[3]
	if err := known(plan, vanityURL); err != nil {
		return "", "", err
	}
	return vanityURL, variable, ofValidation(func(v *constellation.Validation) { constellation.CheckEnvName(v, "", variable) })
}

// SetSecret notes that an algorithm's variable is a secret, whose value is in the
// cluster; set false takes the note back.
func (c *File) SetSecret(vanityURL, variable string, set bool) {
	value := ""
	if set {
		value = secretTyped
	}
	c.set([]string{"stage", "secrets", vanityURL, variable}, value, true)
}

// checkName holds what the operator chose behind a vanity URL to its rule.
func checkName(s setting, name string) error {
	switch s.key {
	case envKey, envFromKey, secretsKey:
		return ofValidation(func(v *constellation.Validation) { constellation.CheckEnvName(v, "", name) })
	case volumesKey:
		return ofValidation(func(v *constellation.Validation) { constellation.CheckVolumeName(v, "", name) })
	}
	return checkAnnotation(name)
}

// Sentence returns an error of the domain with all its fields, in one sentence.
func Sentence(err error) string { return ofError(err).Error() }
