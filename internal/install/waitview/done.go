package waitview

import (
	"fmt"
	"strings"
	"sync"

	"github.com/constellation-serving/constellation/internal/kube/apply"
)

// Done is what a run did so far, for whoever interrupts it.
type Done struct {
	Pushed  int // images
	Serving int // version that was installed when the run began

	mu      sync.Mutex
	phase   string
	changed map[apply.Action]int
}

// Enter notes what begins.
func (d *Done) Enter(phase string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.phase = phase
}

// Change counts what was changed.
func (d *Done) Change(c apply.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed == nil {
		d.changed = map[apply.Action]int{}
	}
	d.changed[c.Action]++
}

// Phase returns what began last, "" for nothing.
func (d *Done) Phase() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.phase
}

// String returns it in one sentence.
func (d *Done) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var parts []string
	if d.Pushed > 0 {
		parts = append(parts, fmt.Sprintf("%d images were pushed", d.Pushed))
	}
	for _, action := range []apply.Action{apply.Created, apply.Changed, apply.Deleted} {
		if n := d.changed[action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d objects were %s", n, action))
		}
	}
	if len(d.changed) == 0 {
		parts = append(parts, "nothing was changed on the cluster")
	}
	return strings.Join(parts, ", ")
}
