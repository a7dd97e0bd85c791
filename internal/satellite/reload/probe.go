package reload

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Probe is the installer's last question which configuration is in use.
type Probe struct {
	path         string
	id           string
	since        time.Time
	acknowledged string // the last one that was
}

// NewProbe returns the probe of a configuration's folder, not read yet.
func NewProbe(dir string) *Probe { return &Probe{path: filepath.Join(dir, config.ProbeFile)} }

// Read looks for a new question. Outside a cluster there is none. It is called
// before the files are loaded: they are as new as the question, or newer.
func (p *Probe) Read() {
	content, err := os.ReadFile(p.path)
	if err != nil {
		return
	}
	if id := strings.TrimSpace(string(content)); id != p.id {
		p.id, p.since = id, time.Now()
	}
}

// Pending returns the question that is not acknowledged, if there is one, and how
// long ago it was asked.
func (p *Probe) Pending() (id string, age time.Duration, ok bool) {
	return p.id, time.Since(p.since), p.id != p.acknowledged
}

// Acknowledge ends the pending question.
func (p *Probe) Acknowledge() { p.acknowledged = p.id }
