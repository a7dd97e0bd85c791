package install

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// ExportOptions are an export's choices.
type ExportOptions struct {
	File      string
	Split     int64 // most bytes of a part, 0 for one file
	Progress  *progress.Reporter
	FreeSpace func(dir string) (int64, error) // nil asks the file system
}

// ExportResult is what an export wrote.
type ExportResult struct {
	Files []string `json:"files"`
	Sums  string   `json:"sums,omitempty"` // of the parts, for 'sha256sum -c'
	Bytes int64    `json:"bytes"`
}

// leastSplit keeps the number of parts within three digits for most launches.
const leastSplit = 1 << 20

// Export writes a launch into one uncompressed tar, launch.json first and
// index.json last, or into parts of a size. The same launch gives the same
// bytes.
func Export(ctx context.Context, f store.Folder, o ExportOptions) (*ExportResult, error) {
	if err := f.Exists(); err != nil {
		return nil, err
	}
	if o.Split != 0 && o.Split < leastSplit {
		return nil, fault.Errorf(fault.CodeUsage, "--split is at least 1M")
	}
	unlock, err := f.LockToRead(ctx, "export", o.Progress.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	l, err := store.OpenLaunch(f)
	if err != nil {
		return nil, err
	}
	if err := l.Verify(ctx, "", false, o.Progress); err != nil {
		return nil, fault.Interrupted(ctx, err, "the export")
	}
	written, err := l.WriteArchive(ctx, o.File, o.Split, o.FreeSpace, o.Progress)
	if err != nil {
		return nil, fault.Interrupted(ctx, store.NoRoomLeft(err, filepath.Dir(o.File)), "the export")
	}
	return &ExportResult{Files: written.Files, Sums: written.Sums, Bytes: written.Bytes}, nil
}

// ParseSize reads a size such as 700M, 4G or 4GiB.
func ParseSize(text string) (int64, error) {
	number := strings.TrimRight(text, "kKMGTiB")
	n, err := strconv.ParseFloat(number, 64)
	factor, ok := map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}[strings.Replace(strings.TrimSuffix(text[len(number):], "B"), "K", "k", 1)]
	if kibi, isKibi := map[string]float64{"ki": 1 << 10}[strings.Replace(strings.TrimSuffix(text[len(number):], "B"), "K", "k", 1)]; isKibi {
		factor, ok = kibi, true
	}
	if err != nil || !ok || n <= 0 || n*factor > 1<<60 {
		return 0, fmt.Errorf("a size is a number with a unit, such as 700M or 4G; not %q", text)
	}
	return int64(n * factor), nil
}
