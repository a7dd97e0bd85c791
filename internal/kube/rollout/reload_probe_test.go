package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// An engine's log has access lines, answers of earlier deploys, and at last
// ours.
func TestProbeReadsTheEnginesAnswer(t *testing.T) {
	t.Parallel()
	p := &reloadProbe{id: "abc.1", want: engineConfig{"r2", "k2"}}
	answer := func(asked, routes, keys, refused string) string {
		return fmt.Sprintf("{\"msg\":%q,\"asked\":%q,\"routes\":%q,\"keys\":%q,\"refused\":%q}\n", config.AcknowledgementMessage, asked, routes, keys, refused)
	}
	noise := "{\"msg\":\"call\",\"path\":\"/v1/algo/x\"}\nnot json " + config.AcknowledgementMessage + "\n"
	tests := map[string]struct {
		log             string
		answered, using bool
		refused         string
	}{
		"nothing":              {noise, false, false, ""},
		"another deploy's":     {noise + answer("abc.0.1", "r2", "k2", ""), false, false, ""},
		"too early":            {answer("abc.1.1", "r1", "k2", ""), true, false, ""},
		"too early, then good": {answer("abc.1.1", "r1", "k2", "") + noise + answer("abc.1.2", "r2", "k2", ""), true, true, ""},
		"refused":              {answer("abc.1.1", "r1", "k2", "routes.json: no"), true, false, "routes.json: no"},
		"no replica known yet": {strings.TrimSuffix(answer("abc.1.1", "r2", "k2", ""), "}\n") + ",\"empty\":1}\n", true, false, ""},
		"cut":                  {strings.TrimSuffix(answer("abc.1.1", "r2", "k2", ""), "\n"), true, true, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &engineState{}
			for line := range strings.Lines(test.log) {
				p.onLine(e, strings.TrimRight(line, "\n"))
			}
			if e.answered != test.answered || e.using != test.using || e.refused != test.refused {
				t.Errorf("read = %+v, want %+v", e, test)
			}
		})
	}
}

func TestProbeGoesOnWithoutAnswers(t *testing.T) {
	t.Parallel()
	broken := fmt.Errorf("forbidden")
	tests := map[string]struct {
		engine  engineState
		after   time.Duration
		goingOn bool
	}{
		"the log cannot be read, early":   {engineState{notified: true, problem: broken}, unreadableTimeout / 2, false},
		"the log cannot be read":          {engineState{notified: true, problem: broken}, unreadableTimeout + time.Second, true},
		"the pod cannot be told":          {engineState{problem: broken}, unreadableTimeout + time.Second, false},
		"the pod cannot be told, at last": {engineState{problem: broken}, unnotifiedTimeout + time.Second, true},
		"silent":                          {engineState{notified: true}, unreadableTimeout + time.Second, false},
		"silent for long":                 {engineState{notified: true}, unnotifiedTimeout + time.Second, true},
		"it refuses":                      {engineState{notified: true, answered: true}, unnotifiedTimeout + time.Second, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &reloadProbe{since: time.Now().Add(-test.after)}
			if got := p.undecidable([]*engineState{&test.engine}) != ""; got != test.goingOn {
				t.Errorf("undecidable = %v, want %v", got, test.goingOn)
			}
		})
	}
}
