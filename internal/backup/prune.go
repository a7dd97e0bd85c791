package backup

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// prune removes the points beyond those to keep, what others left unfinished, and
// the blobs that no point has any more.
func (t *taker) prune(ctx context.Context) error {
	if t.Target.Single() {
		return nil
	}
	files, err := t.place.List(ctx)
	if err != nil {
		return err
	}
	whole, left := points(files)
	if t.Keep > 0 && len(whole) > t.Keep {
		t.taken.Removed = slices.Clone(whole[:len(whole)-t.Keep])
		whole = whole[len(whole)-t.Keep:]
	}
	for _, point := range t.taken.Removed { // from here on it is none, wherever this is killed
		if err := t.place.Remove(ctx, []string{pointName(point, "end.json")}); err != nil {
			return err
		}
	}
	var remove []string
	for _, point := range slices.Concat(t.taken.Removed, left) {
		for name := range files {
			if strings.HasPrefix(name, pointName(point, "")) && namePattern.MatchString(name) {
				remove = append(remove, name)
			}
		}
	}
	needed, err := t.needed(ctx, whole)
	var known *constellation.Error
	if errors.As(err, &known) { // what it needs is not known, so nothing goes
		t.taken.Unswept = known.Message
		return t.place.Remove(ctx, remove)
	}
	if err != nil {
		return err
	}
	for name := range files {
		if digest := blobOf(name); digest != "" && !needed[digest] && namePattern.MatchString(name) {
			remove = append(remove, name)
			t.taken.RemovedBlobs++
		}
	}
	return t.place.Remove(ctx, remove)
}

// needed returns the blobs of points.
func (t *taker) needed(ctx context.Context, points []string) (map[string]bool, error) {
	needed := map[string]bool{}
	for _, point := range points {
		m, _, err := readPoint(ctx, t.place, point, t.manifest.Mothership)
		if err != nil {
			return nil, err
		}
		for _, b := range m.Blobs {
			needed[b.Digest] = true
		}
	}
	return needed, nil
}
