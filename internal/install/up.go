package install

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
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// UpOptions are what up needs besides the launch's folder.
type UpOptions struct {
	Get     GetOptions // without a key, what is downloaded is used
	Changes launchfile.Changes
	Deploy  DeployOptions
	// Ask asks for what is missing; nil when there is nobody to ask.
	Ask      func(context.Context, ask.Question) (string, error)
	Progress *progress.Reporter
}

// UpResult is what each step did; nil is a step that was not needed.
type UpResult struct {
	Download   *GetResult    `json:"download,omitempty"`
	Configured *Configured   `json:"configured,omitempty"`
	Deploy     *DeployResult `json:"deploy"`
}

// Up downloads, configures, checks and deploys a launch. All that is missing is
// asked for, or named at once, before anything is done. Each step picks up where
// it stopped.
func Up(ctx context.Context, f store.Folder, o UpOptions) (*UpResult, error) {
	o.Get.Progress, o.Deploy.Progress = o.Progress, o.Progress
	if err := complete(ctx, f, &o); err != nil {
		return nil, err
	}
	result := &UpResult{}
	var err error
	if o.Get.Key == "" {
		o.Progress.Line("no API key is given: what is downloaded is deployed")
	} else if result.Download, err = Get(ctx, f, o.Get); err != nil {
		return nil, err
	}
	if len(o.Changes.Assignments) > 0 || o.Changes.Files != nil {
		if result.Configured, err = Change(ctx, f, o.Changes, true, o.Progress); err != nil {
			return nil, err
		}
	}
	result.Deploy, err = Deploy(ctx, f, o.Deploy)
	return result, err
}

// need is something that up cannot do without.
type need struct {
	ask.Question
	how string // it is given when nobody is asked
	put func(answer string)
}

// complete asks for all that is missing, or names it.
func complete(ctx context.Context, f store.Folder, o *UpOptions) error {
	needs, err := missing(f, o)
	if err != nil || len(needs) == 0 {
		return err
	}
	if o.Ask == nil {
		return named(needs)
	}
	for _, n := range needs {
		answer, err := o.Ask(ctx, n.Question)
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
func missing(f store.Folder, o *UpOptions) ([]need, error) {
	var needs []need
	last, err := store.LastMothership(f.Root)
	if err != nil {
		return nil, err
	}
	_, err = store.OpenLaunch(f)
	isDownloaded := err == nil
	if cmp.Or(o.Get.Mothership, last) == "" && (o.Get.Key != "" || !isDownloaded) {
		needs = append(needs, need{ask.Question{Name: "the mothership", About: "where the launch is made, host[:port] or URL"},
			"--mothership, or the environment variable ALGO_MOTHERSHIP", func(answer string) { o.Get.Mothership = answer }})
	}
	if o.Get.Key == "" && !isDownloaded {
		needs = append(needs, need{ask.Question{Name: "an API key", About: "of an account of the mothership that may download", Secret: true},
			"the environment variable ALGO_ADMIN_API_KEY, or - with the key on stdin", func(answer string) { o.Get.Key = answer }})
	}
	c, err := settings.Read(f)
	if err != nil {
		return nil, err
	}
	for _, s := range c.Needs(o.Changes.Keeps, o.Changes.Says) {
		needs = append(needs, o.settingNeed(s))
		if s.Key == "stage.kubernetes.namespace" && !o.Changes.Says("stage.kubernetes.create_namespace") && c.Value("stage.kubernetes.create_namespace").State != "set" && o.Ask != nil {
			needs = append(needs, o.settingNeed(settings.Find("stage.kubernetes.create_namespace")))
		}
	}
	return needs, nil
}

// settingNeed is the need of a setting.
func (o *UpOptions) settingNeed(s settings.Setting) need {
	q := ask.Question{Name: s.Key, About: s.About, Default: s.Default, Check: func(answer string) error { return settings.Check(s.Key, answer) }}
	if s.Key == "stage.kubernetes.kubeconfig_path" {
		q.Default = usualKubeconfig()
	}
	return need{q, s.Key + "=… on the command line, or in a --file", func(answer string) {
		o.Changes.Assignments = append(o.Changes.Assignments, s.Key+"="+answer)
	}}
}

// usualKubeconfig returns where kubectl looks, "" when nothing is there.
func usualKubeconfig() string {
	if list := os.Getenv("KUBECONFIG"); list != "" {
		return list
	}
	if home, err := os.UserHomeDir(); err == nil && isThere(filepath.Join(home, ".kube", "config")) {
		return filepath.Join(home, ".kube", "config")
	}
	return ""
}
