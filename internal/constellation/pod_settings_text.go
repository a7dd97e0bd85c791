package constellation

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// PodSettingsText is PodSettings as people write them, a line each:
//
//	Env      NAME=value, or NAME="…" as JSON has strings, for line breaks
//	EnvFrom  secret:NAME or configmap:NAME for all, VARIABLE=secret:NAME/KEY for one
//	Volumes  NAME=pvc:CLAIM:/path[:ro], NAME=empty[:SIZE]:/path[:memory],
//	         NAME=secret:NAME:/path, NAME=configmap:NAME:/path
type PodSettingsText struct {
	Env     string `json:"env,omitempty"`
	EnvFrom string `json:"env_from,omitempty"`
	Volumes string `json:"volumes,omitempty"`
}

// IsZero reports whether nothing is written.
func (t PodSettingsText) IsZero() bool { return t == PodSettingsText{} }

// Text writes the settings, variables and volumes by name.
func (s PodSettings) Text() PodSettingsText {
	var env, from, volumes []string
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		env = append(env, name+"="+quoteEnv(s.Env[name]))
	}
	for _, f := range s.EnvFrom {
		line := f.String()
		if f.Name != "" {
			line = f.Name + "=" + line
		}
		from = append(from, line)
	}
	for _, v := range s.Volumes {
		volumes = append(volumes, v.Name+"="+v.String())
	}
	return PodSettingsText{strings.Join(env, "\n"), strings.Join(from, "\n"), strings.Join(volumes, "\n")}
}

// quoteEnv writes a value that a line could not have as a JSON string.
func quoteEnv(value string) string {
	if strings.TrimSpace(value) == value && !strings.HasPrefix(value, `"`) && strings.IndexFunc(value, IsInvisible) < 0 {
		return value
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return value
	}
	return strings.TrimSpace(b.String())
}

// Parse reads the settings. The error says of each part, env, env_from and
// volumes, in which line what is wrong; whether the settings can be is for
// PodSettings.Check. What could be read is returned beside an error.
func (t PodSettingsText) Parse() (PodSettings, error) {
	var v Validation
	s := PodSettings{}.Whole()
	eachLine(&v, "env", t.Env, func(line string) error {
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok {
			return Errorf(KindInvalid, "a variable is written NAME=value")
		}
		if _, twice := s.Env[name]; twice {
			return Errorf(KindInvalid, "the variable %s is there twice", shorten(name))
		}
		if strings.HasPrefix(value, `"`) {
			if err := json.Unmarshal([]byte(value), &value); err != nil {
				return Errorf(KindInvalid, "the value of %s starts with a quotation mark and is no JSON string, such as \"two\\nlines\"", shorten(name))
			}
		}
		s.Env[name] = value
		return nil
	})
	eachLine(&v, "env_from", t.EnvFrom, func(line string) error {
		name, place, named := strings.Cut(line, "=")
		if !named {
			name, place = "", line
		}
		f, err := ParseEnvFrom(strings.TrimSpace(name), strings.TrimSpace(place))
		if err == nil {
			s.EnvFrom = append(s.EnvFrom, f)
		}
		return err
	})
	eachLine(&v, "volumes", t.Volumes, func(line string) error {
		name, text, ok := strings.Cut(line, "=")
		if !ok {
			return Errorf(KindInvalid, "a volume is written NAME=%s", volumeForms)
		}
		volume, err := ParseVolume(strings.TrimSpace(name), strings.TrimSpace(text))
		if err == nil {
			s.Volumes = append(s.Volumes, volume)
		}
		return err
	})
	return s, v.Err()
}

// eachLine calls read for each line that is not empty, and adds to v what is
// wrong with them.
func eachLine(v *Validation, field, text string, read func(line string) error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := read(line); err != nil {
			v.Add(field, "line %d: %s", n, messageOf(err))
		}
	}
}

// String writes where variables come from: secret:NAME, or secret:NAME/KEY.
func (f EnvFrom) String() string {
	if f.Key == "" {
		return f.Place()
	}
	return f.Place() + "/" + f.Key
}

// ParseEnvFrom reads what EnvFrom.String writes, for the variable name; "" is for
// all keys. It looks at the form alone.
func ParseEnvFrom(name, text string) (EnvFrom, error) {
	const form = "secret:NAME/KEY or configmap:NAME/KEY; without /KEY, every key is a variable"
	kind, rest, _ := strings.Cut(text, ":")
	f := EnvFrom{Name: name}
	source, key, hasKey := strings.Cut(rest, "/")
	switch kind {
	case VolumeSecret:
		f.Secret = source
	case VolumeConfigMap:
		f.ConfigMap = source
	default:
		return f, Errorf(KindInvalid, "it is written %s; not %q", form, shorten(text))
	}
	f.Key = key
	switch {
	case source == "" || hasKey && key == "":
		return f, Errorf(KindInvalid, "it is written %s; not %q", form, shorten(text))
	case key != "" && name == "":
		return f, Errorf(KindInvalid, "which variable has the value of %s? Write NAME=%s", shorten(text), shorten(text))
	case key == "" && name != "":
		return f, Errorf(KindInvalid, "which key is the variable %s? Write %s=%s/KEY", shorten(name), shorten(name), shorten(text))
	}
	return f, nil
}

const volumeForms = "pvc:CLAIM:/path[:ro], empty[:SIZE]:/path[:memory], secret:NAME:/path or configmap:NAME:/path"

// String writes a volume without its name: pvc:CLAIM:/path:ro.
func (volume Volume) String() string {
	parts := []string{volume.Type}
	if volume.Source != "" {
		parts = append(parts, volume.Source)
	}
	if volume.Size != "" {
		parts = append(parts, volume.Size)
	}
	parts = append(parts, volume.MountPath)
	if volume.ReadOnly {
		parts = append(parts, "ro")
	}
	if volume.Memory {
		parts = append(parts, "memory")
	}
	return strings.Join(parts, ":")
}

// ParseVolume reads what Volume.String writes. It looks at the form alone.
func ParseVolume(name, text string) (Volume, error) {
	parts := strings.Split(text, ":")
	v := Volume{Name: name, Type: parts[0]}
	wrong := Errorf(KindInvalid, "a volume is written %s; not %q", volumeForms, shorten(text))
	if !slices.Contains(volumeTypes, v.Type) {
		return v, wrong
	}
	at := slices.IndexFunc(parts, func(part string) bool { return strings.HasPrefix(part, "/") })
	if at < 0 || at > 2 || at == 1 && v.Type != VolumeEmpty {
		return v, wrong
	}
	if at == 2 && v.Type == VolumeEmpty {
		v.Size = parts[1]
	} else if at == 2 {
		v.Source = parts[1]
	}
	v.MountPath = parts[at]
	for _, option := range parts[at+1:] {
		switch {
		case option == "ro" && !v.ReadOnly:
			v.ReadOnly = true
		case option == "memory" && !v.Memory && v.Type == VolumeEmpty:
			v.Memory = true
		default:
			return v, Errorf(KindInvalid, "after the path of a volume comes ro, or memory of an empty one; not %q", shorten(option))
		}
	}
	return v, nil
}

// SettingChange is one line of PodSettingsText that only one of two settings has,
// or that differs: Was or Now is "" where it is not.
type SettingChange struct{ What, Was, Now string }

// DiffPodSettings returns what differs, line by line: variables, where others
// come from, volumes.
func DiffPodSettings(from, to PodSettings) []SettingChange {
	var changes []SettingChange
	old, now := from.lines(), to.lines()
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if old[name] != now[name] {
			changes = append(changes, SettingChange{name, old[name], now[name]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, there := now[name]; !there {
			changes = append(changes, SettingChange{name, old[name], ""})
		}
	}
	return changes
}

// lines are the settings by what they are called.
func (s PodSettings) lines() map[string]string {
	lines := map[string]string{}
	for name, value := range s.Env {
		lines[name] = fmt.Sprintf("%q", value)
	}
	for _, f := range s.EnvFrom {
		what := "all of " + f.Place()
		if f.Name != "" {
			what = f.Name
		}
		lines[what] = f.String()
	}
	for _, v := range s.Volumes {
		lines["volume "+v.Name] = v.String()
	}
	return lines
}
