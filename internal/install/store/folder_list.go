package store

import (
	"errors"
	"io/fs"
)

// Folders returns the folder of each launch below a deployment folder.
func Folders(root string) ([]Folder, error) {
	deployment := NewTree(root)
	satellites, err := deployment.readDir("current/satellite")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(err, deployment.Path("current/satellite"))
	}
	var folders []Folder
	for _, satellite := range satellites {
		launches, err := deployment.readDir("current/satellite/" + satellite.Name())
		if err != nil {
			continue // a file, or not ours
		}
		for _, launch := range launches {
			f := Folder{Root: root, SatelliteID: satellite.Name(), LaunchID: launch.Name()}
			if _, err := f.Stat("launch.json"); err == nil {
				folders = append(folders, f)
			}
		}
	}
	return folders, nil
}
