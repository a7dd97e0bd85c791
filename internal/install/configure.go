package install

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/install/checks"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/launchfile"
	"github.com/constellation-serving/constellation/internal/install/places"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/reach"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/kubeconfig"
)

// Configured is what configure shows.
type Configured struct {
	Set []settings.Value `json:"set,omitempty"` // what this run set
	// Overruled is what a file says and a later one, or an assignment, says otherwise.
	Overruled []launchfile.Entry `json:"overruled,omitempty"`
	Needed    []string           `json:"needed"` // keys that a deploy still needs
	Values    []settings.Value   `json:"values"` // all
	// NotAccepted is set when the values were not set on this machine, and so do
	// not count before AcceptConfig.
	NotAccepted bool `json:"not_taken,omitempty"`
}

// configured returns what configure shows of c.
func configured(c *settings.File, l *store.Launch, set []string) *Configured {
	result := &Configured{Needed: []string{}, Values: c.ValuesFor(l.Plan)}
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

// Configure is Change with assignments alone.
func Configure(ctx context.Context, f store.Folder, assignments []string, online bool, report *progress.Reporter) (*Configured, error) {
	return Change(ctx, f, launchfile.Changes{Assignments: assignments}, online, report)
}

// Change makes all the changes, or none when one is refused. With none, it shows
// what is there. With online, what is set is also tried: the registry has to
// answer and to take the login, and names have to resolve.
func Change(ctx context.Context, f store.Folder, changes launchfile.Changes, online bool, report *progress.Reporter) (*Configured, error) {
	l, err := store.OpenLaunch(f)
	if err != nil {
		return nil, err
	}
	if len(changes.Assignments) == 0 && changes.Files == nil {
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
	a := launchfile.Assigning{Config: c, Plan: l.Plan, Online: online, Report: report}
	if err := a.All(changes); err != nil {
		return nil, err
	}
	data, err := encoded(c, l)
	if err != nil {
		return nil, err
	}
	if err := together(c, online); err != nil {
		return nil, err
	}
	if online {
		if err := try(ctx, c, l, a.Set); err != nil {
			return nil, fault.Interrupted(ctx, err, "configure")
		}
	}
	if err := c.Write(f, data); err != nil {
		return nil, err
	}
	if changes.Files != nil {
		if err := c.SetOrigins(f, a.Origins); err != nil {
			return nil, err
		}
	}
	remark(ctx, c, f, l, a.Set, online, report)
	result := configured(c, l, a.Set)
	result.Overruled = a.Overruled
	return result, nil
}

// ExportConfig returns the whole configuration as a file that configure takes.
func ExportConfig(f store.Folder) ([]byte, error) {
	if _, err := store.OpenLaunch(f); err != nil {
		return nil, err
	}
	c, err := settings.Read(f)
	if err != nil {
		return nil, err
	}
	return c.Texts(launchfile.Escape)
}

// encoded returns a changed configuration as it is written, once it reads back and
// fits the launch's algorithms.
func encoded(c *settings.File, l *store.Launch) ([]byte, error) {
	data, err := c.Encode()
	if err != nil {
		return nil, err
	}
	if err := c.Reload(data); err != nil {
		return nil, fault.Wrap(err, fault.CodeUsage, "the configuration would not read back; nothing was changed")
	}
	if err := c.Stage.CheckPods(l.Plan); err != nil {
		return nil, fault.Errorf(fault.CodeUsage, "%s; nothing was changed", err)
	}
	return data, nil
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

// tryFor is how long a registry or a name server has to answer.
const tryFor = 15 * time.Second

// try finds out whether what was set works from this machine.
func try(ctx context.Context, c *settings.File, l *store.Launch, set []string) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	refuse := func(err error) error {
		told := fault.Error{Code: fault.CodeFailed, Message: err.Error()}
		if e := (*fault.Error)(nil); errors.As(err, &e) {
			told = *e
		}
		told.Message += "; nothing was changed (--no-check sets it without trying)"
		return &told
	}
	if c.Stage.ContainerRegistry != "" && slices.ContainsFunc(set, func(key string) bool {
		return key == "stage.container_registry" || key == "stage.registry.insecure" || key == "stage.registry.ca_file"
	}) {
		repository, _, _ := strings.Cut(mapImages(l.Plan, c.Stage)[l.Plan.System.Image.Digest].Destination, "@")
		if err := checks.Login(ctx, c.Stage, repository); err != nil {
			return refuse(err)
		}
	}
	if c.Stage.FQDN != "" && slices.Contains(set, "stage.fqdn") {
		if err := checks.Resolves(ctx, c.Stage.FQDN); err != nil {
			return refuse(err)
		}
	}
	return nil
}

// remark reports what of the settings that were set is no fault, and may be no
// intention: a mothership that does not answer, and an installation that stays
// where the launch goes no more.
func remark(ctx context.Context, c *settings.File, f store.Folder, l *store.Launch, set []string, online bool, report *progress.Reporter) {
	touches := func(keys ...string) bool {
		return slices.ContainsFunc(set, func(key string) bool { return slices.Contains(keys, key) })
	}
	if online && touches("stage.fqdn", "stage.mothership.proxy", "stage.mothership.ca_file", "stage.heartbeat") {
		if told := reach.Mothership(ctx, c.Stage, l.Plan.Mothership.URL); told != "" {
			report.Line("! %s", told)
		}
	}
	if touches("stage.kubernetes.namespace", "stage.kubernetes.context", "stage.kubernetes.kubeconfig_path") {
		server, err := kubeconfig.Server(c.Stage.Kubernetes.KubeconfigPath, c.Stage.Kubernetes.Context)
		if err != nil {
			return // where the launch goes now is known where it is deployed
		}
		for _, told := range places.Elsewhere(ctx, f, c.Stage, server, nil) {
			report.Line("! %s", told)
		}
	}
}
