package transfer

import (
	"encoding/json"
	"maps"
	"regexp"
	"sync"

	"github.com/constellation-serving/constellation/internal/install/store"
)

// UploadJournal is work/uploads.json: the uploads that a push has begun, so
// that a later run goes on with them.
type UploadJournal struct {
	folder store.Folder
	name   string

	mu    sync.Mutex
	begun map[string]string // repository@digest to the upload's address
}

// OpenUploads returns the uploads to a registry that a push of this launch began.
func OpenUploads(f store.Folder, registry string) *UploadJournal {
	u := &UploadJournal{folder: f, name: "work/uploads-" + FileNameOf(registry) + ".json", begun: map[string]string{}}
	if err := f.ReadJSON(u.name, &u.begun); err != nil {
		u.begun = map[string]string{} // a damaged note only costs time
	}
	return u
}

var notInFiles = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// FileNameOf returns the part of a file's name by which a registry is known.
func FileNameOf(registry string) string { return notInFiles.ReplaceAllString(registry, "_") }

func key(t target) string { return t.repository + "@" + t.blob.Digest }

func (u *UploadJournal) get(t target) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.begun[key(t)]
}

// set notes a begun upload.
func (u *UploadJournal) set(t target, location string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.begun[key(t)] = location
	u.save()
}

// drop forgets one that is done or lost.
func (u *UploadJournal) drop(t target) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.begun[key(t)]; ok {
		delete(u.begun, key(t))
		u.save()
	}
}

// save writes the journal, without waiting for the disk: what a power cut
// takes from it costs time and nothing else.
func (u *UploadJournal) save() {
	if len(u.begun) == 0 {
		_ = u.folder.Remove(u.name)
		return
	}
	data, err := json.Marshal(maps.Clone(u.begun))
	if err != nil {
		return
	}
	_ = u.folder.ReplaceFile(u.name, data)
}
