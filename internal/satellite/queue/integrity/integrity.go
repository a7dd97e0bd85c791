package integrity

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	messagesFolder = "msgs"
	blockSuffix    = ".blk"
	// indexFile is what a server believes of its blocks without reading them.
	indexFile = "index.db"
)

// Report is what is damaged of a store.
type Report struct {
	blocks []damagedBlock
}

// damagedBlock is one file with the places in it that cannot be read.
type damagedBlock struct {
	folder string
	number int
	holes  []hole
}

func (b damagedBlock) path() string {
	return filepath.Join(b.folder, strconv.Itoa(b.number)+blockSuffix)
}

func (b damagedBlock) stream() string { return filepath.Base(filepath.Dir(b.folder)) }

// Damaged reports whether anything is.
func (r Report) Damaged() bool { return len(r.blocks) > 0 }

// Messages returns how many messages of a stream can be lost: those that cannot
// be read and are not known to have been removed.
func (r Report) Messages(stream string) (n uint64) {
	for _, b := range r.blocks {
		if b.stream() != stream {
			continue
		}
		for _, h := range b.holes {
			n += h.messages
		}
	}
	return n
}

// String names the damage for whoever looks after the disk.
func (r Report) String() string {
	var text []string
	for _, b := range r.blocks {
		text = append(text, fmt.Sprintf("%s (%d%s) at byte %d", b.stream(), b.number, blockSuffix, b.holes[0].from))
	}
	if more := len(text) - 5; more > 0 {
		text = append(text[:5], fmt.Sprintf("%d more files", more))
	}
	return strings.Join(text, ", ")
}

// Check reads all that a server stores below a folder. A folder that is not there
// has no damage. What a crash leaves at the end of a stream's last file was never
// acknowledged, and is no damage.
func Check(ctx context.Context, store string) (Report, error) {
	folders, err := filepath.Glob(filepath.Join(store, "jetstream", "*", "*", "*", messagesFolder))
	if err != nil {
		return Report{}, err
	}
	var r Report
	for _, folder := range folders {
		if err := ctx.Err(); err != nil {
			return Report{}, err
		}
		damaged, err := checkStream(folder)
		if err != nil {
			return Report{}, fmt.Errorf("read the queue's store: %w", err)
		}
		r.blocks = append(r.blocks, damaged...)
	}
	return r, nil
}

// checkStream reads the blocks of one stream or log.
func checkStream(folder string) ([]damagedBlock, error) {
	numbers, err := blocksOf(folder)
	if err != nil {
		return nil, err
	}
	var damaged []damagedBlock
	var last uint64
	var open *hole // the block before has lost its end
	for i, number := range numbers {
		b := damagedBlock{folder: folder, number: number}
		read, err := b.scan(last, i == len(numbers)-1)
		if err != nil {
			return nil, err
		}
		if open != nil && read.first > 0 {
			open.after, open = read.first, nil
		}
		if last = read.last; len(read.holes) > 0 {
			b.holes = read.holes
			damaged = append(damaged, b)
			if end := &b.holes[len(b.holes)-1]; end.tail {
				open = end
			}
		}
	}
	return damaged, countLost(folder, numbers, damaged)
}

// countLost finds out how many messages the holes of a stream cost. Its blocks are
// read again for it: what was removed of a stream that nothing is wrong with is more
// than one wants to keep.
func countLost(folder string, numbers []int, damaged []damagedBlock) error {
	if len(damaged) == 0 {
		return nil
	}
	removed := map[uint64]bool{}
	for _, number := range numbers {
		read, err := damagedBlock{folder: folder, number: number}.scan(0, false)
		if err != nil {
			return err
		}
		for _, seq := range read.removed {
			removed[seq] = true
		}
	}
	for _, b := range damaged {
		for i := range b.holes {
			b.holes[i].count(removed)
		}
	}
	return nil
}

func (b damagedBlock) scan(last uint64, newest bool) (scanned, error) {
	sums, err := sumsOf(b.stream(), b.number)
	if err != nil {
		return scanned{}, err
	}
	data, err := os.ReadFile(b.path())
	if err != nil {
		return scanned{}, err
	}
	return scan(data, sums, last, newest), nil
}

// blocksOf returns the numbers of a stream's blocks, in their order.
func blocksOf(folder string) ([]int, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, e := range entries {
		text, isBlock := strings.CutSuffix(e.Name(), blockSuffix)
		if n, err := strconv.Atoi(text); isBlock && err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// Erase makes the damaged places into records that the server knows as removed, so
// that all others are kept. What the server believed of its files goes with it.
func (r Report) Erase() error {
	for _, b := range r.blocks {
		if err := b.erase(); err != nil {
			return fmt.Errorf("erase what is damaged of %s: %w", b.path(), err)
		}
		if err := os.Remove(filepath.Join(b.folder, indexFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("erase what is damaged of %s: %w", b.stream(), err)
		}
	}
	return nil
}

func (b damagedBlock) erase() error {
	sums, err := sumsOf(b.stream(), b.number)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(b.path(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for _, h := range b.holes {
		if h.tail { // the server cuts it off
			continue
		}
		if _, e := f.WriteAt(h.erased(sums), int64(h.from)); e != nil {
			err = e
			break
		}
	}
	return errors.Join(err, f.Sync(), f.Close())
}
