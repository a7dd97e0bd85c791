package install

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/launchfile"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// assigning sets values in a configuration, and gathers all that is wrong.
type assigning struct {
	config *settings.File
	launch *store.Launch
	online bool
	report *progress.Reporter

	set       []string          // keys
	origins   map[string]string // of what files set: key → file:line
	overruled []launchfile.Entry
	wrong     []string
}

// all sets what files and assignments say: what comes later wins.
func (a *assigning) all(changes Changes) error {
	last := map[string]launchfile.Entry{}
	var order []string
	for _, entry := range changes.Files {
		if earlier, ok := last[entry.Key]; !ok {
			order = append(order, entry.Key)
		} else if earlier.Value != entry.Value {
			a.overruled = append(a.overruled, earlier)
		}
		last[entry.Key] = entry
	}
	if changes.Files != nil {
		a.takeBack(last)
	}
	for _, key := range order {
		a.one(key+"="+last[key].Value, last[key].From+": ")
		a.origins[key] = last[key].From
	}
	for _, assignment := range changes.Assignments {
		key := a.one(assignment, "")
		if entry, ok := last[key]; ok {
			a.overruled = append(a.overruled, entry)
		}
		delete(a.origins, key)
	}
	if len(a.wrong) > 0 {
		return fault.Errorf(fault.CodeUsage, "%s; nothing was changed", strings.Join(a.wrong, "\n"))
	}
	return nil
}

// one sets "KEY=VALUE", and says of what is wrong where it stands.
func (a *assigning) one(assignment, where string) (key string) {
	key, err := a.config.Assign(a.launch.Plan, assignment, a.online)
	if err != nil {
		a.wrong = append(a.wrong, where+err.Error())
	}
	if !slices.Contains(a.set, key) {
		a.set = append(a.set, key)
	}
	return key
}

// takeBack takes back what files set before and no longer say.
func (a *assigning) takeBack(said map[string]launchfile.Entry) {
	before := a.config.FromFiles()
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, ok := said[key]; ok {
			continue
		}
		a.report.Line("%s", fmt.Sprintf("%s=%s is taken back: %s set it, and no file says it any more", key, before[key].Value, before[key].From))
		a.config.TakeBack(key)
		a.set = append(a.set, key)
	}
}
