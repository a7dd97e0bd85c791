package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"path"
	"strings"

	"github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// ownerPath is where a store says which mothership it is of. A copy writes it last of
// all, so that no server begins on one that lacks images.
const ownerPath = ownRoot + "/mothership"

// copyPath is where a copy under way says whose store it is to be.
const copyPath = ownRoot + "/copy-of"

// unmarked is the owner of a store that never was used by a server.
const unmarked = "none"

func sameError(l Location) error {
	return constellation.Errorf(constellation.KindInvalid, "%s is both the source and the target", l)
}

// checkTarget refuses a target that is the source by another name, and one that has
// a registry which is not the source's.
func (c *Copier) checkTarget(ctx context.Context) error {
	if same, err := c.same(ctx); err != nil {
		return err
	} else if same {
		return sameError(c.fromAt)
	}
	owner, err := c.owner(ctx, c.from, c.fromAt, ownerPath)
	if err != nil {
		return err
	}
	if owner == "" {
		owner = unmarked
	}
	for last := false; ; last = true {
		noted, err := c.owner(ctx, c.to, c.toAt, copyPath)
		if err != nil {
			return err
		}
		marked, err := c.owner(ctx, c.to, c.toAt, ownerPath)
		if err != nil {
			return err
		}
		if marked == owner || noted == owner || marked == "" && noted == unmarked {
			return nil
		}
		empty := false
		if marked == "" && noted == "" {
			if empty, err = emptyRegistry(ctx, c.to); err != nil {
				return Explain(c.toAt, "read from", err)
			}
		}
		switch {
		case empty:
			return Explain(c.toAt, "written to", c.to.PutContent(ctx, copyPath, []byte(owner+"\n")))
		case last: // nor did another copy begin or end in between
			return constellation.Errorf(constellation.KindConflict, "%s holds another registry, and is left as it is: name an empty place, or an older copy of %s", c.toAt, c.fromAt)
		}
	}
}

// same reports whether what is written to the target is in the source.
func (c *Copier) same(ctx context.Context) (bool, error) {
	probe := path.Join(ownRoot, "same-"+strings.ToLower(rand.Text()))
	if err := c.to.PutContent(ctx, probe, []byte("?")); err != nil {
		return false, Explain(c.toAt, "written to", err)
	}
	_, err := c.from.Stat(ctx, probe)
	same := err == nil
	if isMissing(err) {
		err = nil
	}
	return same, errors.Join(c.unread(err), Explain(c.toAt, "written to", c.to.Delete(ctx, probe)))
}

// owner reads whose a store is, "" where it does not say.
func (c *Copier) owner(ctx context.Context, d driver.StorageDriver, l Location, name string) (string, error) {
	data, err := d.GetContent(ctx, name)
	if isMissing(err) {
		return "", nil
	}
	return strings.TrimSpace(string(data)), Explain(l, "read from", err)
}

// emptyRegistry reports whether there is no content of a registry.
func emptyRegistry(ctx context.Context, d driver.StorageDriver) (bool, error) {
	empty := true
	err := walkFiles(ctx, d, path.Dir(blobsRoot), func(driver.FileInfo) error {
		empty = false
		return driver.ErrFilledBuffer // ends the walk
	})
	if !empty {
		err = nil
	}
	return empty, err
}

// ended takes away the note of a copy that is whole now, if it has a mark instead.
func (c *Copier) ended(ctx context.Context) error {
	if _, err := c.to.Stat(ctx, ownerPath); err != nil {
		if isMissing(err) {
			return nil
		}
		return err
	}
	if err := c.to.Delete(ctx, copyPath); err != nil && !isMissing(err) {
		return err
	}
	return nil
}
