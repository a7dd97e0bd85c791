package needs

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/ask"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/launchfile"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// need is something that up cannot do without.
type need struct {
	ask.Question
	how string // it is given when nobody is asked
	put func(answer string)
}

// Given is what was given of what is needed, and where answers go.
type Given struct {
	Mothership, Key *string // "" was not given
	Changes         *launchfile.Changes
}

// Asker asks an operator; nil when there is nobody to ask.
type Asker func(context.Context, ask.Question) (string, error)

// Complete asks for all that is missing, or names it in one error.
func Complete(ctx context.Context, f store.Folder, g Given, asker Asker) error {
	needs, err := g.missing(f, asker != nil)
	if err != nil || len(needs) == 0 {
		return err
	}
	if asker == nil {
		return named(needs)
	}
	for _, n := range needs {
		answer, err := asker(ctx, n.Question)
		if err != nil && ctx.Err() != nil {
			return fault.Errorf(fault.CodeFailed, "up was interrupted; nothing was done")
		}
		if err != nil {
			return fault.Wrap(err, fault.CodeUsage, "nothing was done")
		}
		n.put(answer)
	}
	return nil
}

func named(needs []need) error {
	lines := []string{"these are missing, and nothing was done:"}
	if len(needs) == 1 {
		lines[0] = "this is missing, and nothing was done:"
	}
	for _, n := range needs {
		lines = append(lines, fmt.Sprintf("  ✗ %s: %s\n    → %s", n.Name, n.About, n.how))
	}
	return fault.Errorf(fault.CodeUsage, "%s", strings.Join(lines, "\n"))
}

// missing returns what up needs and was not given.
func (g Given) missing(f store.Folder, asks bool) ([]need, error) {
	var needs []need
	last, err := store.LastMothership(f.Root)
	if err != nil {
		return nil, err
	}
	_, err = store.OpenLaunch(f)
	isDownloaded := err == nil
	if cmp.Or(*g.Mothership, last) == "" && (*g.Key != "" || !isDownloaded) {
		needs = append(needs, need{ask.Question{Name: "the mothership", About: "where the launch is made, host[:port] or URL"},
			"--mothership, or the environment variable ALGO_MOTHERSHIP", func(answer string) { *g.Mothership = answer }})
	}
	if *g.Key == "" && !isDownloaded {
		needs = append(needs, need{ask.Question{Name: "an API key", About: "of an account of the mothership that may download", Secret: true},
			"the environment variable ALGO_ADMIN_API_KEY, or - with the key on stdin", func(answer string) { *g.Key = answer }})
	}
	c, err := settings.Read(f)
	if err != nil {
		return nil, err
	}
	for _, s := range c.Needs(g.Changes.Keeps, g.Changes.Says) {
		needs = append(needs, g.settingNeed(s))
		if s.Key == "stage.kubernetes.namespace" && !g.Changes.Says("stage.kubernetes.create_namespace") && c.Value("stage.kubernetes.create_namespace").State != "set" && asks {
			needs = append(needs, g.settingNeed(settings.Find("stage.kubernetes.create_namespace")))
		}
	}
	return needs, nil
}

// settingNeed is the need of a setting.
func (g Given) settingNeed(s settings.Setting) need {
	q := ask.Question{Name: s.Key, About: s.About, Default: s.Default, Check: func(answer string) error { return settings.Check(s.Key, answer) }}
	if s.Key == "stage.kubernetes.kubeconfig_path" {
		q.Default = usualKubeconfig()
	}
	return need{q, s.Key + "=… on the command line, or in a --file", func(answer string) {
		g.Changes.Assignments = append(g.Changes.Assignments, s.Key+"="+answer)
	}}
}

// usualKubeconfig returns where kubectl looks, "" when nothing is there.
func usualKubeconfig() string {
	if list := os.Getenv("KUBECONFIG"); list != "" {
		return list
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	path := filepath.Join(home, ".kube", "config")
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
