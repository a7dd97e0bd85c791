package install

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/kubeconfig"
)

// Configured is what configure shows.
type Configured struct {
	Set    []settings.Value `json:"set,omitempty"` // what this run set
	Needed []string         `json:"needed"`        // keys that a deploy still needs
	Values []settings.Value `json:"values"`        // all
	// NotAccepted is set when the values were not set on this machine, and so do
	// not count before AcceptConfig.
	NotAccepted bool `json:"not_taken,omitempty"`
}

// configured returns what configure shows of c.
func configured(c *settings.File, l *store.Launch, set []string) *Configured {
	result := &Configured{Needed: []string{}, Values: origins(c, l, c.Values())}
	for _, v := range result.Values {
		if v.State == "missing" {
			result.Needed = append(result.Needed, v.Key)
		}
	}
	for _, key := range set {
		result.Set = append(result.Set, c.Value(key))
	}
	return result
}

// Configure sets every "KEY=VALUE", or none when one is refused. A value that
// is empty goes back to the default. With online, what is set is also tried:
// the registry has to answer and to take the login, and names have to resolve.
func Configure(ctx context.Context, f store.Folder, assignments []string, online bool, report *progress.Reporter) (*Configured, error) {
	l, err := store.OpenLaunch(f)
	if err != nil {
		return nil, err
	}
	if len(assignments) == 0 {
		return showConfig(f, l)
	}
	unlock, err := f.Lock(ctx, "configure", report.Line)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := settings.Read(f)
	if err != nil {
		return nil, err
	}
	var wrong, set []string
	for _, assignment := range assignments {
		key, err := c.Assign(l.Plan, assignment, online)
		if err != nil {
			wrong = append(wrong, err.Error())
		}
		if !slices.Contains(set, key) {
			set = append(set, key)
		}
	}
	if len(wrong) > 0 {
		return nil, fault.Errorf(fault.CodeUsage, "%s; nothing was changed", strings.Join(wrong, "\n"))
	}
	data, err := c.Encode()
	if err != nil {
		return nil, err
	}
	if err := c.Reload(data); err != nil {
		return nil, fault.Wrap(err, fault.CodeUsage, "the configuration would not read back; nothing was changed")
	}
	if err := together(c, online); err != nil {
		return nil, err
	}
	if online {
		if err := try(ctx, c, l, set); err != nil {
			return nil, fault.Interrupted(ctx, err, "configure")
		}
	}
	if err := c.Write(f, data); err != nil {
		return nil, err
	}
	remark(ctx, c, f, l, set, online, report)
	return configured(c, l, set), nil
}

// together checks what only holds for several settings at once.
func together(c *settings.File, online bool) error {
	k := c.Stage.Kubernetes
	if k.KubeconfigPath == "" {
		return nil
	}
	if !online && !slices.ContainsFunc(kubeconfig.Files(k.KubeconfigPath), isThere) {
		return nil // it is on the machine that deploys
	}
	err := kubeconfig.Check(k.KubeconfigPath, k.Context)
	if err != nil && (online || !errors.Is(err, kubeconfig.ErrPlugin)) {
		return fault.Wrap(err, fault.CodeUsage, "nothing was changed: stage.kubernetes")
	}
	return nil
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// showConfig shows what is there, and whether it counts.
func showConfig(f store.Folder, l *store.Launch) (*Configured, error) {
	c, err := settings.Parse(f)
	if err != nil {
		return nil, err
	}
	ours, err := c.IsAccepted(f)
	if err != nil {
		return nil, err
	}
	if !ours { // no file that it names is looked at
		return &Configured{Needed: []string{}, Values: c.Values(), NotAccepted: true}, nil
	}
	return configured(c, l, nil), nil
}

// AcceptConfig makes the configuration that lies in the launch's folder count,
// after every value of it was reported: it came with the folder, or was edited.
func AcceptConfig(ctx context.Context, f store.Folder, report *progress.Reporter) error {
	if _, err := store.OpenLaunch(f); err != nil {
		return err
	}
	unlock, err := f.Lock(ctx, "configure", report.Line)
	if err != nil {
		return err
	}
	defer unlock()
	data, err := f.ReadFile("config.yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Errorf(fault.CodeUsage, "there is no configuration to take: %s is not there", f.Path("config.yaml"))
	}
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "read the configuration")
	}
	return settings.Accept(f, data, settings.Path(f), report)
}
