package install

import (
	"cmp"
	"slices"

	"github.com/constellation-serving/constellation/internal/install/store"
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
	folders, err := store.Folders(root)
	if err != nil {
		return nil, err
	}
	list := []Listed{}
	for _, f := range folders {
		list = append(list, listed(f))
	}
	slices.SortFunc(list, func(a, b Listed) int {
		return cmp.Or(cmp.Compare(a.Satellite, b.Satellite), cmp.Compare(a.Launch, b.Launch), cmp.Compare(a.Path, b.Path))
	})
	return list, nil
}

// listed returns a launch on this machine with its state.
func listed(f store.Folder) Listed {
	item := Listed{SatelliteID: f.SatelliteID, LaunchID: f.LaunchID, State: "damaged", Path: f.Path()}
	if l, err := store.OpenLaunch(f); err == nil {
		item.Satellite, item.Launch, item.Version, item.State = l.Plan.Satellite.Name, l.Plan.Launch.Name, l.Root.Version, "ready"
		if l.Complete() != nil {
			item.State = "incomplete"
		}
	}
	return item
}

// VanityURLs returns those of a launch on this machine, in order; none when it
// cannot be read. It is for a shell's completion.
func VanityURLs(f store.Folder) []string {
	l, err := store.OpenLaunch(f)
	if err != nil {
		return nil
	}
	var list []string
	for _, a := range l.Plan.Algorithms {
		list = append(list, a.VanityURL)
	}
	slices.Sort(list)
	return list
}
