package install

import (
	"context"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/install/claim"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/settle"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/install/target"
	"github.com/constellation-serving/constellation/internal/install/transfer"
	"github.com/constellation-serving/constellation/internal/install/waitview"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// session is one run over a launch that is downloaded and configured; it holds
// the launch's lock.
type session struct {
	launch       *store.Launch
	source       transfer.Source // of the images' bytes
	config       *settings.File
	images       map[string]transfer.Mapping
	registry     *registry.Registry
	report       *progress.Reporter
	attempts     transfer.Retrier
	unlock       func()
	done         waitview.Done
	waits        *waitview.View
	retryTimeout time.Duration // with an API server that is away
}

func (s *session) folder() store.Folder { return s.launch.Folder }

// opening is how a verb opens a launch.
type opening struct {
	verb   string
	report *progress.Reporter
	trust  string   // ID of a mothership's key that its admin confirmed
	reads  bool     // nothing is written to the launch's folder
	spare  []string // keys of the configuration that it can do without
}

// open verifies a launch, reads its configuration and takes its lock. What is
// needed of the configuration has to be there, without the spare keys.
func open(ctx context.Context, f store.Folder, o opening) (*session, error) {
	if err := f.Exists(); err != nil {
		return nil, err
	}
	lock := f.Lock
	if o.reads {
		lock = f.LockToRead
	}
	unlock, err := lock(ctx, o.verb, o.report.Line)
	if err != nil {
		return nil, err
	}
	s := &session{report: o.report, attempts: transfer.NewRetrier(o.report.Retry, nil), unlock: unlock}
	if err := s.read(ctx, f, o); err != nil {
		unlock()
		return nil, fault.Interrupted(ctx, err, o.verb)
	}
	return s, nil
}

func (s *session) read(ctx context.Context, f store.Folder, o opening) (err error) {
	if s.launch, err = store.OpenLaunch(f); err != nil {
		return err
	}
	if err = s.launch.Verify(ctx, o.trust, o.reads, s.report); err != nil {
		return err
	}
	s.source = s.launch.Blobs()
	if s.config, err = settings.Read(f); err != nil {
		return err
	}
	if err = s.config.CheckComplete(f, o.spare); err != nil {
		return err
	}
	s.images = mapImages(s.launch.Plan, s.config.Stage)
	s.registry, err = registry.Open(s.config.Stage.RegistryConfig())
	return err
}

func (s *session) close() {
	s.registry.Close()
	s.unlock()
}

// connect reaches the configured cluster.
func (s *session) connect(ctx context.Context) (*cluster.Cluster, error) {
	return target.Connect(ctx, s.config.Stage.Kubernetes, s.retryTimeout, s.report)
}

// claims is the launch with what it uses of its registry.
func (s *session) claims() claim.Launch {
	server, namespace := target.Place(s.config.Stage.Kubernetes)
	return claim.Launch{Plan: s.launch.Plan, Registry: s.registry, Images: s.images, Server: server, Namespace: namespace, Attempts: s.attempts, Report: s.report}
}

// inputFor is the input for a cluster, by which it is settled what the operator
// left open.
func (s *session) inputFor(ctx context.Context, c *cluster.Cluster) (render.Input, error) {
	in, err := s.input(c.APIs)
	if err != nil {
		return in, err
	}
	return settle.Input(ctx, c, in)
}

// input is what the cluster's objects are rendered from.
func (s *session) input(apis render.APIs) (render.Input, error) {
	in := render.Input{
		Plan: s.launch.Plan, APIs: apis,
		Images: destinations(s.images), Users: map[string]string{}, Processes: map[string]render.Process{},
	}
	var err error
	if in.Settings, err = s.config.Stage.Render(s.launch.Plan.Mothership.URL); err != nil {
		return in, err
	}
	for _, a := range s.launch.Plan.Algorithms {
		config, err := s.launch.ImageConfig(a.Image.Digest)
		if err != nil {
			return in, err
		}
		in.Users[a.Image.Digest] = config.Config.User
		in.Processes[a.Image.Digest] = render.Process{Entrypoint: config.Config.Entrypoint, Cmd: config.Config.Cmd}
	}
	return in, s.pull(&in.Settings)
}

// pull settles which Secret pods pull with.
func (s *session) pull(settings *render.Settings) (err error) {
	choice := s.config.Stage.Registry.PullSecret
	if existing, ok := strings.CutPrefix(choice, "existing:"); ok {
		settings.PullSecret = existing
		return nil
	}
	if choice != "create" {
		return nil
	}
	if settings.PullConfig, err = s.registry.PullConfig(); err != nil {
		return err
	}
	if settings.PullConfig != nil {
		settings.PullSecret = render.PullSecretName
	}
	return nil
}
