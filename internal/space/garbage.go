package space

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

const (
	// GarbageShown is of how many repositories it is remembered what would go.
	GarbageShown = 1000
	// garbageEvery is how often it is found out what would go, at most.
	garbageEvery = time.Minute
	// garbageShare is the part of the time that finding out may take: it reads every
	// row of what the registry has.
	garbageShare = 100
)

// FindGarbage finds out what a garbage collection would free and remembers it for who
// asks, unless that was done just now, or not so long ago for how long it takes.
func (l *Ledger) FindGarbage(ctx context.Context, o CollectOptions) error {
	return l.transact(ctx, func(l *Ledger) error {
		if err := l.DB.Lock(ctx, "find garbage"); err != nil { // a server that does already has it done
			return err
		}
		age, took, ok, err := l.DB.GarbageAge(ctx)
		if err != nil || ok && age >= 0 && age < max(garbageEvery, garbageShare*took) {
			return err
		}
		return l.findGarbage(ctx, o)
	})
}

func (l *Ledger) findGarbage(ctx context.Context, o CollectOptions) error {
	begun := time.Now()
	since, err := l.DB.Ago(ctx, o.Grace, max(o.Grace, o.TagGrace))
	if err != nil {
		return err
	}
	goes, err := l.DB.Garbage(ctx, *since)
	if err != nil {
		return err
	}
	return l.DB.NoteGarbage(ctx, garbageOf(goes, time.Since(begun)))
}

// garbageOf sums up what goes from each repository, those first that free the most.
func garbageOf(goes []constellation.SpaceUse, took time.Duration) *postgres.FoundGarbage {
	g := &postgres.FoundGarbage{Took: took, Repositories: int64(len(goes))}
	for _, r := range goes {
		g.Blobs += r.Blobs
		g.Bytes += r.Bytes
	}
	g.Largest = append([]constellation.SpaceUse{}, goes[:min(GarbageShown, len(goes))]...)
	return g
}
