package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/opencontainers/go-digest"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/storage"
)

// blobRoot is where distribution keeps every blob once.
const blobRoot = "/docker/registry/v2/blobs"

// repositoriesRoot is where distribution keeps which repository has what.
const repositoriesRoot = "/docker/registry/v2/repositories"

var hexPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

func blobDir(dgst string) string {
	hex := strings.TrimPrefix(dgst, "sha256:")
	return path.Join(blobRoot, "sha256", hex[:2], hex)
}

func layerDir(repository, dgst string) string {
	return path.Join(repositoriesRoot, repository, "_layers/sha256", strings.TrimPrefix(dgst, "sha256:"))
}

func revisionDir(repository, dgst string) string {
	return path.Join(repositoriesRoot, repository, "_manifests/revisions/sha256", strings.TrimPrefix(dgst, "sha256:"))
}

func tagDir(repository, tag string) string {
	return path.Join(repositoriesRoot, repository, "_manifests/tags", tag)
}

// EachPrefix is part of space.Inventory.
func (s *Storage) EachPrefix(ctx context.Context, f func(from, to string, blobs []constellation.StoredBlob) error) error {
	for i := range 256 {
		prefix := fmt.Sprintf("%02x", i)
		var blobs []constellation.StoredBlob
		err := s.driver.Walk(ctx, path.Join(blobRoot, "sha256", prefix), func(info driver.FileInfo) error {
			if hex := path.Base(path.Dir(info.Path())); !info.IsDir() && path.Base(info.Path()) == "data" && hexPattern.MatchString(hex) {
				blobs = append(blobs, constellation.StoredBlob{Digest: "sha256:" + hex, Size: info.Size()})
			}
			return nil
		})
		if err != nil && !isPathNotFound(err) {
			return err
		}
		to := fmt.Sprintf("sha256:%02x", i+1)
		if i == 255 {
			to = "sha256:g"
		}
		if err := f("sha256:"+prefix, to, blobs); err != nil {
			return err
		}
	}
	return nil
}

// EachRepository is part of space.Inventory.
func (s *Storage) EachRepository(ctx context.Context, f func(constellation.StoredRepository) error) error {
	names, err := s.repositories(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		r := constellation.StoredRepository{Name: name}
		root := path.Join(repositoriesRoot, name)
		if r.Blobs, err = s.digests(ctx, root+"/_layers/sha256"); err != nil {
			return err
		}
		if r.Manifests, err = s.digests(ctx, root+"/_manifests/revisions/sha256"); err != nil {
			return err
		}
		if r.Tags, err = s.tags(ctx, name); err != nil {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return nil
}

// repositories returns every repository, by its reserved folders.
func (s *Storage) repositories(ctx context.Context) ([]string, error) {
	found := map[string]bool{}
	err := s.driver.Walk(ctx, repositoriesRoot, func(info driver.FileInfo) error {
		rest, _ := strings.CutPrefix(info.Path(), repositoriesRoot+"/")
		name, _, reserved := strings.Cut(rest, "/_")
		if reserved && repositoryPattern.MatchString(name) {
			found[name] = true
			if info.IsDir() {
				return driver.ErrSkipDir
			}
		}
		return nil
	})
	if err != nil && !isPathNotFound(err) {
		return nil, err
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// digests returns the digests that a folder of links has.
func (s *Storage) digests(ctx context.Context, dir string) ([]string, error) {
	files, err := s.list(ctx, dir)
	var digests []string
	for _, file := range files {
		if hex := path.Base(file); hexPattern.MatchString(hex) {
			digests = append(digests, "sha256:"+hex)
		}
	}
	return digests, err
}

// list returns what a folder has, nothing where there is none.
func (s *Storage) list(ctx context.Context, dir string) ([]string, error) {
	files, err := s.driver.List(ctx, dir)
	if isPathNotFound(err) {
		return nil, nil
	}
	return files, err
}

func (s *Storage) tags(ctx context.Context, repository string) ([]constellation.StoredTag, error) {
	dirs, err := s.list(ctx, path.Join(repositoriesRoot, repository, "_manifests/tags"))
	if err != nil {
		return nil, err
	}
	var tags []constellation.StoredTag
	for _, dir := range dirs {
		tag := path.Base(dir)
		dgst, err := s.currentTag(ctx, repository, tag)
		if err != nil {
			return nil, err
		}
		if dgst != "" && tagPattern.MatchString(tag) {
			tags = append(tags, constellation.StoredTag{Tag: tag, Digest: dgst})
		}
	}
	return tags, nil
}

// currentTag returns where a tag points, "" where there is none.
func (s *Storage) currentTag(ctx context.Context, repository, tag string) (string, error) {
	data, err := s.driver.GetContent(ctx, tagDir(repository, tag)+"/current/link")
	if isPathNotFound(err) {
		return "", nil
	}
	return string(data), err
}

// StoredBlob is part of space.Inventory.
func (s *Storage) StoredBlob(ctx context.Context, repository, dgst string) (constellation.StoredBlob, error) {
	missing := func(err error) error {
		if isPathNotFound(err) {
			return constellation.Wrap(err, constellation.KindNotFound, "the registry has no blob %s", dgst)
		}
		return err
	}
	if checkDigest(dgst) != nil {
		return constellation.StoredBlob{}, constellation.Errorf(constellation.KindNotFound, "%q is no digest", shorten(dgst))
	}
	info, err := s.driver.Stat(ctx, blobDir(dgst)+"/data")
	if err != nil {
		return constellation.StoredBlob{}, missing(err)
	}
	found := constellation.StoredBlob{Digest: dgst, Size: info.Size()}
	if repository == "" {
		return found, nil
	}
	if _, err = s.driver.Stat(ctx, layerDir(repository, dgst)+"/link"); isPathNotFound(err) {
		_, err = s.driver.Stat(ctx, revisionDir(repository, dgst)+"/link")
	}
	return found, missing(err)
}

// StoredManifest is part of space.Inventory.
func (s *Storage) StoredManifest(ctx context.Context, repository, dgst string) (*constellation.StoredManifest, error) {
	body, err := s.Manifest(ctx, repository, dgst)
	if err != nil {
		return nil, err
	}
	var doc document
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, fmt.Errorf("parse manifest %s@%s: %w", repository, dgst, err)
	}
	return storedManifest(repository, body, &doc), nil
}

// storedManifest is what is noted of a manifest.
func storedManifest(repository string, body []byte, doc *document) *constellation.StoredManifest {
	m := &constellation.StoredManifest{Repository: repository, Digest: digest.FromBytes(body).String(), Size: int64(len(body))}
	if doc.Subject != nil {
		m.Subject = doc.Subject.Digest.String()
	}
	if doc.Config != nil {
		m.Parts = append(m.Parts, doc.Config.Digest.String())
	}
	for _, part := range slices.Concat(doc.Layers, doc.Manifests) {
		m.Parts = append(m.Parts, part.Digest.String())
	}
	slices.Sort(m.Parts)
	m.Parts = slices.Compact(m.Parts)
	return m
}

// remove removes a folder; one that is not there is no error.
func (s *Storage) remove(ctx context.Context, dir string) error {
	if err := s.driver.Delete(ctx, dir); err != nil && !isPathNotFound(err) {
		return fmt.Errorf("remove %s from the registry's storage: %w", dir, err)
	}
	return nil
}

// RemoveBlob is part of space.Remover.
func (s *Storage) RemoveBlob(ctx context.Context, dgst string) error {
	return s.remove(ctx, blobDir(dgst))
}

// RemoveLink is part of space.Remover.
func (s *Storage) RemoveLink(ctx context.Context, repository, dgst string) error {
	return errors.Join(s.remove(ctx, layerDir(repository, dgst)), s.remove(ctx, revisionDir(repository, dgst)))
}

// RemoveManifest is part of space.Remover.
func (s *Storage) RemoveManifest(ctx context.Context, m constellation.StoredManifest, tags []string) error {
	for _, tag := range tags {
		current, err := s.currentTag(ctx, m.Repository, tag)
		if err != nil {
			return err
		}
		if current != m.Digest && current != "" {
			continue // it was moved
		}
		if err := s.remove(ctx, tagDir(m.Repository, tag)); err != nil {
			return err
		}
	}
	if m.Subject != "" {
		note := path.Join(referrersDir(m.Repository, digest.Digest(m.Subject)), strings.TrimPrefix(m.Digest, "sha256:"))
		if err := s.remove(ctx, note); err != nil {
			return err
		}
	}
	if m.Repository == constellation.SystemRepository {
		if err := s.forgetSystem(ctx, m.Digest); err != nil {
			return err
		}
	}
	return s.remove(ctx, revisionDir(m.Repository, m.Digest))
}

// RemoveUploads is part of space.Remover.
func (s *Storage) RemoveUploads(ctx context.Context, before time.Time, dryRun bool) (constellation.SpaceUse, error) {
	var use constellation.SpaceUse
	names, err := s.repositories(ctx)
	if err != nil {
		return use, err
	}
	for _, name := range names {
		dirs, err := s.list(ctx, path.Join(repositoriesRoot, name, "_uploads"))
		if err != nil {
			return use, err
		}
		for _, dir := range dirs {
			bytes, left, err := s.leftUpload(ctx, dir, before)
			if err != nil {
				return use, err
			}
			if !left {
				continue
			}
			use.Blobs++
			use.Bytes += bytes
			if dryRun {
				continue
			}
			if err := s.remove(ctx, dir); err != nil {
				return use, err
			}
		}
	}
	left, err := storage.DropLeftUploads(ctx, s.driver, before, dryRun)
	use.Blobs += left.Blobs
	return use, err
}

// leftUpload returns what an upload takes, and whether nothing of it was written
// after a moment.
func (s *Storage) leftUpload(ctx context.Context, dir string, before time.Time) (bytes int64, left bool, err error) {
	var newest time.Time
	err = s.driver.Walk(ctx, dir, func(info driver.FileInfo) error {
		if info.IsDir() {
			return nil
		}
		bytes += info.Size()
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return nil
	})
	if err == nil && newest.IsZero() { // it begins in this moment, or was left right then
		var info driver.FileInfo
		if info, err = s.driver.Stat(ctx, dir); err == nil {
			newest = info.ModTime()
		}
	}
	if isPathNotFound(err) {
		return 0, false, nil // it was finished meanwhile
	}
	return bytes, !newest.IsZero() && newest.Before(before), err
}
