package static

import (
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
)

// disk is where the assets are read from instead of what is embedded; nil for
// all but who works on them.
var disk atomic.Pointer[folder]

// FromDisk makes all pages take their assets from a folder, as they are at each
// moment, until undo is called. It is for who works on them.
func FromDisk(dir string) (undo func()) {
	disk.Store(&folder{files: os.DirFS(dir)})
	return func() { disk.Store(nil) }
}

// folder is a folder of assets and what was last read of it.
type folder struct {
	files fs.FS

	mu        sync.Mutex
	seen      string // names, sizes and times
	assets    map[string]asset
	addresses map[string]string
}

func (f *folder) index() (map[string]asset, map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seen := f.look(); seen != f.seen || f.assets == nil {
		f.assets, f.addresses = indexOf(f.files)
		f.seen = seen
	}
	return f.assets, f.addresses
}

// look returns what tells one state of the folder from another.
func (f *folder) look() string {
	names, err := assetNames(f.files)
	if err != nil {
		panic("read the assets: " + err.Error())
	}
	seen := ""
	for _, name := range names {
		if info, err := fs.Stat(f.files, name); err == nil {
			seen += fmt.Sprintln(name, info.Size(), info.ModTime().UnixNano())
		}
	}
	return seen
}
