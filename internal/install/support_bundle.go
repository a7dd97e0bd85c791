package install

import (
	"context"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/support"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	neutral "github.com/constellation-serving/constellation/internal/support"
)

// SupportResult is what a support bundle has.
type SupportResult struct {
	File    string   `json:"file"`
	Parts   int      `json:"parts"`
	Missing []string `json:"missing"` // what could not be had, and why
}

// SupportBundle writes what can be learned of a launch into a file, without
// secrets. What cannot be had is noted there: a bundle is made when something is
// wrong.
func SupportBundle(ctx context.Context, f store.Folder, path string, report *progress.Reporter) (*SupportResult, error) {
	l, err := store.OpenLaunch(f)
	if err != nil {
		return nil, err
	}
	redactor := &neutral.Redactor{}
	redactor.Add(l.Plan.Launch.Token, os.Getenv("ALGO_ADMIN_API_KEY"), os.Getenv("ALGO_API_KEY"))
	for _, key := range l.Plan.Keys {
		redactor.Add(key.SHA256)
	}
	archive, err := support.Create(path, redactor, time.Now())
	if err != nil {
		return nil, err
	}
	defer archive.Abort()
	if err := gather(ctx, f, l, archive, report); err != nil {
		return nil, fault.Interrupted(ctx, err, "the support bundle")
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return &SupportResult{File: path, Parts: archive.Parts, Missing: append([]string{}, archive.Missing...)}, nil
}

// gather adds all parts. The cluster comes first, whose Secrets are then known
// wherever else they stand.
func gather(ctx context.Context, f store.Folder, l *store.Launch, a *support.Archive, report *progress.Reporter) error {
	s, cluster, err := look(ctx, f)
	if err == nil {
		report.Line("reading what the launch has on %s", cluster.Server)
		if pull, err := s.pullLogin(); err == nil {
			a.Learn(pull)
		}
		if err := a.Cluster(ctx, cluster, f.LaunchID); err != nil {
			return err
		}
	} else {
		a.Missing = append(a.Missing, a.Text("cluster: "+strings.ReplaceAll(err.Error(), "\n", " ")))
	}
	versions := map[string]any{"algo_install": constellation.Version, "platform": runtime.GOOS + "/" + runtime.GOARCH, "go": runtime.Version(), "at": time.Now().UTC(),
		"launch": l.Root.Version, "system": l.Plan.System.Version, "mothership": l.Plan.Mothership.Version}
	if cluster != nil {
		versions["kubernetes"], versions["server"], versions["namespace"] = cluster.Version, cluster.Server, cluster.Namespace
	}
	for _, part := range []struct {
		name string
		get  func(context.Context) (any, error)
	}{
		{"versions.json", func(context.Context) (any, error) { return versions, nil }},
		{"plan.json", func(context.Context) (any, error) { return l.Plan, nil }},
		{"settings.json", func(context.Context) (any, error) { return known(showConfig(f, l)) }},
		{"status.json", func(ctx context.Context) (any, error) { return known(Status(ctx, f)) }},
		{"doctor.json", func(ctx context.Context) (any, error) { return checksOf(ctx, f, report) }},
	} {
		if err := a.JSON(ctx, part.name, part.get); err != nil {
			return err
		}
	}
	return history(ctx, f, a)
}

// known is a result, or none where there is an error: a nil pointer in an any is
// something.
func known[T any](result *T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return result, nil
}

func checksOf(ctx context.Context, f store.Folder, report *progress.Reporter) (any, error) {
	checks, err := Doctor(ctx, f, nil, report)
	if fault.CodeOf(err) == fault.CodePreflight { // they are what it found
		err = nil
	}
	if checks == nil {
		checks = []preflight.Check{}
	}
	return checks, err
}

// lastDeploys is how many deploys' results a bundle has.
const lastDeploys = 10

// history adds what the last deploys did.
func history(ctx context.Context, f store.Folder, a *support.Archive) error {
	entries, err := os.ReadDir(f.Path("logs"))
	if err != nil {
		return nil // nothing was deployed from here
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), "deploy-") || !e.Type().IsRegular() })
	for _, entry := range entries[max(0, len(entries)-lastDeploys):] {
		err := a.JSON(ctx, "deploys/"+entry.Name(), func(context.Context) (any, error) {
			data, err := f.ReadFile("logs/" + entry.Name())
			if err != nil {
				return nil, err
			}
			return json.RawMessage(data), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pullLogin returns the docker login that pods pull with, nil for none.
func (s *session) pullLogin() ([]byte, error) {
	if s.config.Stage.Registry.PullSecret != "create" {
		return nil, nil
	}
	r, err := registry.Open(s.config.Stage.RegistryConfig())
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.PullConfig()
}
