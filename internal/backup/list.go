package backup

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Point is a backup in a target.
type Point struct {
	Name, Mothership, Program string
	Schema                    int64
	TakenAt                   time.Time
	Tables                    int
	Rows, Blobs, Bytes        int64
	Lacks                     int // blobs that the mothership's own storage lacked, or had damaged
	SecretKey                 bool
	Problem                   string // why it cannot be read
}

// List returns the backups that a target has, the oldest first.
func List(ctx context.Context, target Target) (_ []Point, err error) {
	s, err := openSource(ctx, target)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	files, mothership, err := backups(ctx, s, target)
	if err != nil {
		return nil, err
	}
	whole, _ := points(files)
	list := make([]Point, 0, len(whole))
	for _, name := range whole {
		m, e, err := readPoint(ctx, s, name, mothership)
		if err != nil {
			var known *constellation.Error
			if !errors.As(err, &known) {
				return nil, err
			}
			list = append(list, Point{Name: name, Problem: known.Message})
			continue
		}
		p := Point{
			Name: name, Mothership: m.Mothership, Program: m.Program, Schema: m.Schema, TakenAt: m.TakenAt, Tables: len(m.Tables),
			Blobs: int64(len(m.Blobs)), Lacks: len(m.Missing) + len(e.Damaged), SecretKey: m.SecretKey != "",
		}
		for _, t := range m.Tables {
			p.Rows += t.Rows
			p.Bytes += t.Stored
		}
		_, blobs := m.sizes()
		p.Bytes += blobs
		list = append(list, p)
	}
	return list, nil
}

// backups returns the files of a target that has backups.
func backups(ctx context.Context, s source, target Target) (files map[string]int64, mothership string, err error) {
	m, err := readMark(ctx, s)
	if err != nil {
		return nil, "", err
	}
	if m == nil {
		return nil, "", constellation.Errorf(constellation.KindNotFound, "there is no backup at %s: it has no %s", target, markName)
	}
	files, err = s.List(ctx)
	return files, m.Mothership, err
}

// choose returns the point of a name, "" for the newest.
func choose(files map[string]int64, target Target, name string) (string, error) {
	whole, _ := points(files)
	switch {
	case len(whole) == 0 && target.Single():
		return "", constellation.Errorf(constellation.KindNotFound, "%s has no whole backup: it was cut, or the backup was stopped before its end", target)
	case len(whole) == 0:
		return "", constellation.Errorf(constellation.KindNotFound, "%s has no backup that was ended; take one", target)
	case name == "":
		return whole[len(whole)-1], nil
	case !slices.Contains(whole, name):
		return "", constellation.Errorf(constellation.KindNotFound, "%s has no backup %s; see mothership backup list", target, shorten(name))
	}
	return name, nil
}
