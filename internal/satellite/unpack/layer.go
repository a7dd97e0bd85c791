package unpack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/constellation-serving/constellation/internal/weights"
)

// unpacking is a folder of weights in the making.
type unpacking struct {
	Options
	source *source
	part   string // its folder: tree/ is what is made, done-N says that layer N is
	root   *os.Root
	total  int64 // the bytes of the budget before any was taken
}

const treeName = "tree"

// begin opens the folder, with what an earlier attempt left in it.
func (u *unpacking) begin() error {
	u.total = u.Budget.Bytes
	err := os.MkdirAll(filepath.Join(u.part, treeName), 0o755)
	if errors.Is(err, fs.ErrPermission) || isReadOnly(err) {
		return errNotWritable
	}
	if err != nil {
		return fmt.Errorf("make a folder for the weights: %w", err)
	}
	if u.root, err = os.OpenRoot(u.part); err != nil {
		return fmt.Errorf("open the folder of the weights: %w", err)
	}
	return nil
}

func (u *unpacking) end() { _ = u.root.Close() } // what was written is synced

// layer unpacks a layer, unless an earlier attempt did.
func (u *unpacking) layer(ctx context.Context, i int, layer weights.Layer) error {
	done := "done-" + strconv.Itoa(i)
	if _, err := u.root.Stat(done); err == nil {
		return u.take(i, layer)
	}
	u.Log("layer %d: %s of %s", i+1, layer.Digest, size(layer.Size))
	unpack := u.archive
	if layer.Path != "" {
		unpack = u.file
	}
	before := u.Budget
	if err := unpack(ctx, layer); err != nil {
		return err
	}
	// What it took is noted, so that a later attempt counts on from there.
	note := fmt.Appendf(nil, "%d %d", before.Files-u.Budget.Files, before.Bytes-u.Budget.Bytes)
	return u.write(done, 0o644, func(w io.Writer) error { _, err := w.Write(note); return err })
}

// take takes from the budget what an earlier attempt unpacked.
func (u *unpacking) take(i int, layer weights.Layer) error {
	note, err := u.root.ReadFile("done-" + strconv.Itoa(i))
	if err != nil {
		return err
	}
	var files int
	var bytes int64
	if _, err := fmt.Sscanf(string(note), "%d %d", &files, &bytes); err != nil {
		return fmt.Errorf("what was noted of layer %s cannot be read; remove %s", layer.Digest, u.part)
	}
	u.Budget.Files -= files
	u.Budget.Bytes -= bytes
	u.Log("layer %d: there from an earlier attempt", i+1)
	return nil
}

// file gets a layer that is one file, from where an earlier attempt stopped. The
// name is its own only once its digest is right.
func (u *unpacking) file(ctx context.Context, layer weights.Layer) error {
	if err := u.Budget.Take(layer.Size); err != nil {
		return err
	}
	const partial = "file"
	out, err := u.root.OpenFile(partial+"-"+Name(layer.Digest), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // it is synced before it counts
	sum := sha256.New()
	had, err := io.Copy(sum, io.LimitReader(out, layer.Size))
	if err != nil {
		return err
	}
	if had > 0 {
		u.Log("going on after %s", size(had))
	}
	content := u.source.open(ctx, layer.Digest, layer.Size, had, sum)
	defer content.Close()
	if _, err := io.Copy(out, content); err != nil {
		return err
	}
	if err := content.Verify(); err != nil {
		return errors.Join(err, u.root.Remove(partial+"-"+Name(layer.Digest)))
	}
	if err := out.Sync(); err != nil {
		return err
	}
	place := path.Join(treeName, layer.Path)
	if err := u.root.MkdirAll(path.Dir(place), 0o755); err != nil {
		return err
	}
	return u.root.Rename(partial+"-"+Name(layer.Digest), place)
}

// archive unpacks a layer as it comes. Its digest is known at its end; until all
// layers are right, nobody sees the folder.
func (u *unpacking) archive(ctx context.Context, layer weights.Layer) error {
	content := u.source.open(ctx, layer.Digest, layer.Size, 0, sha256.New())
	defer content.Close()
	if err := weights.Archive(content, &u.Budget, u.entry); err != nil {
		return fmt.Errorf("unpack layer %s: %w", layer.Digest, err)
	}
	return content.Verify()
}

// entry makes one file, folder or link of an archive.
func (u *unpacking) entry(e weights.Entry, content io.Reader) error {
	place := path.Join(treeName, e.Path)
	if e.Folder {
		return u.root.MkdirAll(place, 0o755)
	}
	if err := u.root.MkdirAll(path.Dir(place), 0o755); err != nil {
		return err
	}
	if err := u.root.Remove(place); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if e.Link != "" {
		return u.root.Symlink(e.Link, place)
	}
	mode := fs.FileMode(0o644)
	if e.Executable {
		mode = 0o755
	}
	return u.write(place, mode, func(w io.Writer) error { _, err := io.CopyN(w, content, e.Size); return err })
}

// write makes a file whose content is on disk when it returns.
func (u *unpacking) write(place string, mode fs.FileMode, content func(io.Writer) error) error {
	out, err := u.root.OpenFile(place, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	err = content(out)
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// commit gives the folder its name. Where no lock is to be had, another pod may
// have been first: it has the same content.
func (u *unpacking) commit(place string) error {
	if err := os.Rename(filepath.Join(u.part, treeName), place); err != nil && !whole(place) {
		return err
	}
	if folder, err := os.Open(u.Folder); err == nil {
		err = folder.Sync()
		if err := errors.Join(err, folder.Close()); err != nil {
			return err
		}
	}
	return os.RemoveAll(u.part)
}
