package install

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Listed is a launch on this machine.
type Listed struct {
	SatelliteID string `json:"satellite_id"`
	LaunchID    string `json:"launch_id"`
	Satellite   string `json:"satellite"`
	Launch      string `json:"launch"`
	Version     int    `json:"satellite_version"`
	State       string `json:"state"` // ready, incomplete or damaged
	Path        string `json:"path"`
}

// List finds the launches under a deployment folder.
func List(root string) ([]Listed, error) {
	paths, err := filepath.Glob(filepath.Join(root, "current", "satellite", "*", "*", "launch.json"))
	if err != nil {
		return nil, wrap(err, CodeFailed, "look into %s", root)
	}
	for _, dir := range []string{root, filepath.Join(root, "current", "satellite")} { // a pattern matches nothing where it may not look
		if _, err := os.ReadDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, unreadable(err, dir)
		}
	}
	list := []Listed{}
	for _, path := range paths {
		dir := filepath.Dir(path)
		f := Folder{Root: root, SatelliteID: filepath.Base(filepath.Dir(dir)), LaunchID: filepath.Base(dir)}
		item := Listed{SatelliteID: f.SatelliteID, LaunchID: f.LaunchID, State: "damaged", Path: dir}
		if l, err := openLaunch(f); err == nil {
			item.Satellite, item.Launch, item.Version, item.State = l.plan.Satellite.Name, l.plan.Launch.Name, l.root.Version, "ready"
			if l.complete() != nil {
				item.State = "incomplete"
			}
		}
		list = append(list, item)
	}
	slices.SortFunc(list, func(a, b Listed) int {
		return cmp.Or(cmp.Compare(a.Satellite, b.Satellite), cmp.Compare(a.Launch, b.Launch), cmp.Compare(a.Path, b.Path))
	})
	return list, nil
}

// VanityURLs gives those of a launch on this machine, in order; none when it
// cannot be read. It is for a shell's completion.
func VanityURLs(f Folder) []string {
	l, err := openLaunch(f)
	if err != nil {
		return nil
	}
	var list []string
	for _, a := range l.plan.Algorithms {
		list = append(list, a.VanityURL)
	}
	slices.Sort(list)
	return list
}

// Setting is a key of the configuration, for a help text.
type Setting struct {
	Key      string // "<vanity>" and "<name>" stand for what the operator chooses
	About    string
	Required bool
	Default  string // "" for none
}

// Settings gives every key of the configuration, in the order of the table
// that configure shows.
func Settings() []Setting {
	var list []Setting
	for _, s := range settings {
		list = append(list, Setting{Key: s.key, About: s.about, Required: s.required, Default: s.standard})
	}
	return list
}
