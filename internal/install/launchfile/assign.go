package launchfile

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settings"
)

// Changes are what configure is to change.
type Changes struct {
	// Files are the values of all files, of which the last one of a key counts.
	// Not nil: what files set before and these do not say is taken back.
	Files       []Entry
	Assignments []string // "KEY=VALUE", which win over files; an empty value goes back to the default
}

// Says reports whether the changes give a key a value.
func (c Changes) Says(key string) bool {
	said := false
	for _, entry := range c.Files {
		if entry.Key == key {
			said = entry.Value != ""
		}
	}
	for _, assignment := range c.Assignments {
		if k, value, ok := strings.Cut(assignment, "="); ok && strings.TrimPrefix(strings.TrimSpace(k), ".") == key {
			said = strings.TrimSpace(value) != ""
		}
	}
	return said
}

// Keeps reports whether the changes leave a value that came from a file.
func (c Changes) Keeps() bool { return c.Files == nil }

// Assigning sets values in a configuration, and gathers all that is wrong.
type Assigning struct {
	Config *settings.File
	Plan   *bundle.Plan // of the launch
	Online bool         // files have to be there
	Report *progress.Reporter

	Set       []string          // keys
	Origins   map[string]string // of what files set: key → file:line
	Overruled []Entry           // what does not count
	wrong     []string
}

// All sets what files and assignments say: what comes later wins.
func (a *Assigning) All(changes Changes) error {
	a.Origins = map[string]string{}
	last := map[string]Entry{}
	var order []string
	for _, entry := range changes.Files {
		if earlier, ok := last[entry.Key]; !ok {
			order = append(order, entry.Key)
		} else if earlier.Value != entry.Value {
			a.Overruled = append(a.Overruled, earlier)
		}
		last[entry.Key] = entry
	}
	if changes.Files != nil {
		a.takeBack(last)
	}
	for _, key := range order {
		a.one(key+"="+last[key].Value, last[key].From+": ")
		a.Origins[key] = last[key].From
	}
	for _, assignment := range changes.Assignments {
		key := a.one(assignment, "")
		if entry, ok := last[key]; ok {
			a.Overruled = append(a.Overruled, entry)
		}
		delete(a.Origins, key)
	}
	if len(a.wrong) > 0 {
		return fault.Errorf(fault.CodeUsage, "%s; nothing was changed", strings.Join(a.wrong, "\n"))
	}
	return nil
}

// one sets "KEY=VALUE", and says of what is wrong where it stands.
func (a *Assigning) one(assignment, where string) (key string) {
	key, err := a.Config.Assign(a.Plan, assignment, a.Online)
	if err != nil {
		a.wrong = append(a.wrong, where+err.Error())
	}
	if !slices.Contains(a.Set, key) {
		a.Set = append(a.Set, key)
	}
	return key
}

// takeBack takes back what files set before and no longer say.
func (a *Assigning) takeBack(said map[string]Entry) {
	before := a.Config.FromFiles()
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, ok := said[key]; ok {
			continue
		}
		a.Report.Line("%s", fmt.Sprintf("%s=%s is taken back: %s set it, and no file says it any more", key, before[key].Value, before[key].From))
		a.Config.TakeBack(key)
		a.Set = append(a.Set, key)
	}
}
