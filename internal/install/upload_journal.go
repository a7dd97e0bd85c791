package install

import (
	"encoding/json"
	"maps"
	"os"
	"sync"
)

// uploadJournal is work/uploads.json: the uploads that a push has begun, so
// that a later run goes on with them.
type uploadJournal struct {
	path string

	mu    sync.Mutex
	begun map[string]string // repository@digest to the upload's address
}

func openUploads(f Folder, registry string) *uploadJournal {
	u := &uploadJournal{path: f.Path("work", "uploads-"+notInFiles.ReplaceAllString(registry, "_")+".json"), begun: map[string]string{}}
	if err := readJSON(u.path, &u.begun); err != nil {
		u.begun = map[string]string{} // a damaged note only costs time
	}
	return u
}

func key(t target) string { return t.repository + "@" + t.blob.Digest }

func (u *uploadJournal) get(t target) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.begun[key(t)]
}

// set notes a begun upload.
func (u *uploadJournal) set(t target, location string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.begun[key(t)] = location
	u.save()
}

// drop forgets one that is done or lost.
func (u *uploadJournal) drop(t target) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.begun[key(t)]; ok {
		delete(u.begun, key(t))
		u.save()
	}
}

// save writes the journal, without waiting for the disk: what a power cut
// takes from it costs time and nothing else.
func (u *uploadJournal) save() {
	if len(u.begun) == 0 {
		_ = os.Remove(u.path)
		return
	}
	data, err := json.Marshal(maps.Clone(u.begun))
	if err != nil {
		return
	}
	temp := u.path + ".new"
	if os.WriteFile(temp, data, fileMode) == nil {
		_ = os.Rename(temp, u.path)
	}
}
