package node

import (
	"fmt"
	"time"
)

// What a disk lost of a stream's file, its server takes for deleted: it names the
// same last number as the others, with fewer messages, and stays so. So each node
// compares what it stores with what the two others say they store. One that has
// less than both others have alike is filled anew from them: they are a majority,
// and what they have too much, if they lost the word of its removal, only runs again.

const (
	// alikeLooks is for how many looks in a row all figures are as they were,
	// before a difference is one of disks and not of time.
	alikeLooks = 5
	// heardFor is how long what another node said counts.
	heardFor = 3 * announceEvery
)

// Stored is how many messages a stream has, and the highest number it has seen.
type Stored struct {
	Messages uint64 `json:"messages"`
	Last     uint64 `json:"last"`
}

// comparison is what a node knows of what the others store.
type comparison struct {
	heard map[string]heardStored // by node
	looks map[string]looks       // by stream
}

type heardStored struct {
	stored map[string]Stored
	at     time.Time
}

// looks are figures of a stream that did not change for so many looks.
type looks struct {
	seen  [3]Stored // this node's, and the others'
	alike int
}

// hear takes in what another node stores.
func (c *comparison) hear(a Announcement, now time.Time) {
	if c.heard == nil {
		c.heard, c.looks = map[string]heardStored{}, map[string]looks{}
	}
	c.heard[a.Name] = heardStored{a.Stored, now}
}

// lacks returns what own, which this node stores, lacks of what two others store
// alike, "" when there is nothing.
func (c *comparison) lacks(own map[string]Stored, now time.Time) string {
	var others []map[string]Stored
	for _, h := range c.heard {
		if now.Sub(h.at) <= heardFor && h.stored != nil {
			others = append(others, h.stored)
		}
	}
	if len(others) != 2 {
		clear(c.looks)
		return ""
	}
	found := ""
	for name, mine := range own {
		l := c.looks[name]
		seen := [3]Stored{mine, others[0][name], others[1][name]}
		if seen[1].Messages > seen[2].Messages { // in whatever order they were heard
			seen[1], seen[2] = seen[2], seen[1]
		}
		if l.alike++; seen != l.seen {
			l = looks{seen: seen, alike: 1}
		}
		c.looks[name] = l
		if l.alike >= alikeLooks && seen[1] == seen[2] && mine.Last == seen[1].Last && mine.Messages < seen[1].Messages {
			found = fmt.Sprintf("its disk lacks %d of %d messages of %s that both others have",
				seen[1].Messages-mine.Messages, seen[1].Messages, name)
		}
	}
	return found
}
