package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// A configuration says which program a kubeconfig starts, where images and the
// docker login go, and how the cluster is entered, and no signature covers it.
// So it counts only when configure wrote it on this machine, or when the
// operator saw every value of it and took it.

// configSeal notes which values count.
const configSeal = "work/configuration.json"

// acceptedConfig is the note that this machine's operator accepted a configuration.
type acceptedConfig struct {
	Values string `json:"values"` // digest of what Config.lines gives
}

func configPurpose(f store.Folder) string {
	return "configuration of " + f.SatelliteID + "/" + f.LaunchID
}

// lines returns every value that is other than the default as KEY=VALUE, in
// order. They are read from what is used, not from the file's text, in which
// YAML can hide a value.
func (c Config) lines() ([]string, error) {
	own, err := flatten(c)
	if err != nil {
		return nil, err
	}
	standard, err := flatten(defaultConfig())
	if err != nil {
		return nil, err
	}
	var list []string
	for key, value := range own {
		if old, ok := standard[key]; !ok || old != value {
			if key == queueState {
				key = "stage.queue"
			}
			list = append(list, key+"="+value)
		}
	}
	slices.Sort(list)
	return list, nil
}

func flatten(c Config) (map[string]string, error) {
	data, err := yaml.Marshal(c)
	var root map[string]any
	if err == nil {
		err = yaml.Unmarshal(data, &root)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "read the configuration")
	}
	flat := map[string]string{}
	var walk func(key string, value any)
	walk = func(key string, value any) {
		switch value := value.(type) {
		case nil:
		case map[string]any:
			for name, inner := range value {
				walk(strings.TrimPrefix(key+"."+name, "."), inner)
			}
		default:
			flat[key] = fmt.Sprint(value)
		}
	}
	walk("", root)
	return flat, nil
}

func (c Config) digest() (string, error) {
	lines, err := c.lines()
	return bundle.Digest(fmt.Appendf(nil, "%q", lines)), err
}

// IsAccepted reports whether the configuration is one that this machine's operator
// set or took. One that sets nothing always is.
func (c *File) IsAccepted(f store.Folder) (bool, error) {
	lines, err := c.lines()
	if err != nil || len(lines) == 0 {
		return err == nil, err
	}
	want, err := c.digest()
	if err != nil {
		return false, err
	}
	for _, read := range []func(name, purpose string, note any) (bool, error){f.ReadNote, f.ReadOriginalNote} {
		var note acceptedConfig
		if ours, err := read(configSeal, configPurpose(f), &note); err != nil {
			return false, fault.Wrap(err, fault.CodeFailed, "read the configuration")
		} else if ours && note.Values == want {
			return true, nil
		}
	}
	return false, nil
}

// Write writes the configuration as one that counts. The note comes first: with
// it alone, the values that were there before count no more, and never others.
func (c *File) Write(f store.Folder, data []byte) error {
	digest, err := c.digest()
	if err != nil {
		return err
	}
	if err = f.MakeNotes("work"); err == nil {
		err = f.WriteNote(configSeal, configPurpose(f), acceptedConfig{digest})
	}
	if err == nil {
		err = f.WriteFile("config.yaml", data)
	}
	return f.NoteError(err, "write the configuration")
}

// notAccepted is the error of a configuration that does not count.
func notAccepted(f store.Folder) error {
	return &fault.Error{Code: fault.CodeIntegrity, Message: fmt.Sprintf("%s was not set on this machine with configure: it came with the folder, or was edited", Path(f)),
		Next: fmt.Sprintf("→ 'algo-install satellite %s %s configure --with-config' prints every value and takes them; or remove the file and configure anew", f.SatelliteID, f.LaunchID)}
}

// Path is where the configuration was read from.
func Path(f store.Folder) string {
	if _, err := f.Stat("config.yaml"); errors.Is(err, fs.ErrNotExist) {
		return f.Original().Path("config.yaml")
	}
	return f.Path("config.yaml")
}

// Accept makes data the launch's configuration, after it has reported every
// value of it.
func Accept(f store.Folder, data []byte, from string, report *progress.Reporter) error {
	c := &File{}
	if err := yaml.Unmarshal(data, &c.document); err != nil {
		return handEdited(from, err)
	}
	if err := c.Reload(data); err != nil {
		return handEdited(from, err)
	}
	if err := c.announce(from, report); err != nil {
		return err
	}
	return c.Write(f, data)
}

// announce prints every value of a configuration that the operator takes.
func (c *File) announce(from string, report *progress.Reporter) error {
	lines, err := c.lines()
	if err != nil {
		return err
	}
	report.Line("taking the configuration of %s:", from)
	for _, line := range lines {
		report.Line("  %s", line)
	}
	return nil
}

// ImportConfig takes over the configuration of an archive where there is none, if that is wanted;
// no signature covers it, so it is not taken unasked.
func ImportConfig(c *store.Archive, f store.Folder, wanted bool, report *progress.Reporter) error {
	if !c.HasConfiguration() && wanted {
		return fault.Errorf(fault.CodeUsage, "%s holds no configuration to take", c.Path)
	}
	if !c.HasConfiguration() {
		return nil
	}
	if _, err := f.Stat("config.yaml"); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			report.Line("the configuration that %s holds is not taken: this launch is configured already", c.Path)
		}
		return err
	}
	if !wanted {
		report.Line("the configuration that %s holds is not taken: no signature covers it; --with-config prints it and takes it", c.Path)
		return nil
	}
	data, err := c.Configuration()
	if err != nil {
		return err
	}
	return Accept(f, data, c.Path, report)
}
