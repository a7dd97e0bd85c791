package node

import (
	"strings"
	"testing"
	"time"
)

// Nodes differ for a moment all the time: only what stays, and what the two others
// agree on, is a damaged disk.
func TestComparison(t *testing.T) {
	t.Parallel()
	type figures [3]Stored // this node's, and the others'
	const lacks = "lacks 4 of 10 messages of work"
	damaged := figures{{6, 10}, {10, 10}, {10, 10}}
	for name, test := range map[string]struct {
		at   func(look int) figures
		want string
	}{
		"alike":                     {func(int) figures { return figures{{10, 10}, {10, 10}, {10, 10}} }, ""},
		"it lacks some":             {func(int) figures { return damaged }, lacks},
		"it has more than others":   {func(int) figures { return figures{{10, 10}, {6, 10}, {6, 10}} }, ""},
		"another lacks some":        {func(int) figures { return figures{{10, 10}, {6, 10}, {10, 10}} }, ""},
		"all differ":                {func(int) figures { return figures{{6, 10}, {7, 10}, {10, 10}} }, ""},
		"it catches up":             {func(int) figures { return figures{{6, 6}, {10, 10}, {10, 10}} }, ""},
		"it is ahead with removals": {func(n int) figures { return figures{{uint64(90 - n), 99}, {uint64(91 - n), 99}, {uint64(91 - n), 99}} }, ""},
		"differs and is well again": {func(n int) figures {
			return map[bool]figures{true: damaged, false: {{10, 10}, {10, 10}, {10, 10}}}[n < alikeLooks]
		}, ""},
		"one of the others is silent": {func(int) figures { return figures{{6, 10}, {10, 10}} }, ""},
	} {
		var c comparison
		now, got := time.Unix(1, 0), ""
		for look := range 3 * alikeLooks {
			f := test.at(look)
			for i, other := range []string{"b", "c"} {
				if f[i+1] != (Stored{}) {
					c.hear(Announcement{Name: other, Stored: map[string]Stored{"work": f[i+1]}}, now)
				}
			}
			got = c.lacks(map[string]Stored{"work": f[0]}, now)
			if look < alikeLooks-1 && got != "" {
				t.Errorf("%s: after %d looks it %s", name, look+1, got)
			}
			now = now.Add(time.Second)
		}
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: it %q, want %q", name, got, test.want)
		}
	}
	var c comparison
	c.hear(Announcement{Name: "b", Stored: map[string]Stored{"work": {10, 10}}}, time.Unix(1, 0))
	c.hear(Announcement{Name: "c", Stored: map[string]Stored{"work": {10, 10}}}, time.Unix(1, 0))
	for range 2 * alikeLooks {
		if got := c.lacks(map[string]Stored{"work": {6, 10}}, time.Unix(60, 0)); got != "" {
			t.Fatalf("by what others said a minute ago it %s", got)
		}
	}
}
