package install

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/constellation-serving/constellation/internal/kube"
)

// session is one run over a launch that is downloaded and configured; it holds
// the launch's lock.
type session struct {
	launch   *launch
	source   source // of the images' bytes
	config   *configFile
	images   map[string]Mapping
	registry *registry
	progress *Progress
	delay    func(attempt int) time.Duration // between attempts
	unlock   func()
	done     done
	waits    *waitView
	patience time.Duration // with an API server that is away
}

func (s *session) folder() Folder { return s.launch.folder }

// open verifies a launch, reads its configuration and takes its lock. What is
// needed of the configuration has to be there, without the spare keys.
func open(ctx context.Context, f Folder, verb string, progress *Progress, spare ...string) (*session, error) {
	if err := f.exists(); err != nil {
		return nil, err
	}
	unlock, err := f.lock(ctx, verb, progress.Line)
	if err != nil {
		return nil, err
	}
	s := &session{progress: progress, delay: backoff, unlock: unlock}
	if err := s.read(ctx, f, spare); err != nil {
		unlock()
		return nil, interrupted(ctx, err, verb)
	}
	return s, nil
}

func (s *session) read(ctx context.Context, f Folder, spare []string) (err error) {
	if s.launch, err = openLaunch(f); err != nil {
		return err
	}
	if err = s.launch.verify(ctx, s.progress); err != nil {
		return err
	}
	s.source = folderSource{s.launch}
	if s.config, err = readConfig(f); err != nil {
		return err
	}
	if err = s.config.complete(f, spare); err != nil {
		return err
	}
	s.images = mapImages(s.launch.plan, s.config.Stage)
	s.registry, err = openRegistry(s.config.Stage)
	return err
}

func (s *session) close() {
	s.registry.transport.CloseIdleConnections()
	s.unlock()
}

// connect reaches the configured cluster.
func (s *session) connect(ctx context.Context) (*kube.Cluster, error) {
	k := s.config.Stage.Kubernetes
	patience := kube.Patience{For: s.patience}
	if s.progress != nil {
		patience.Report = s.progress.Line
	}
	cluster, err := kube.Connect(ctx, k.KubeconfigPath, k.Context, k.Namespace, patience)
	switch {
	case errors.Is(err, kube.ErrKubeconfig):
		return nil, wrap(err, CodePreflight, "stage.kubernetes")
	case apierrors.IsUnauthorized(err):
		return nil, wrap(err, CodeAuth, "the cluster refuses the kubeconfig's credentials")
	case errors.Is(err, kube.ErrUnreachable):
		return nil, wrap(err, CodeNetwork, "stage.kubernetes")
	case err != nil:
		return nil, wrap(err, CodePreflight, "the cluster refuses")
	}
	return cluster, nil
}

// input is what the cluster's objects are rendered from.
func (s *session) input(apis kube.APIs) (kube.Input, error) {
	stage := s.config.Stage
	in := kube.Input{
		Plan: s.launch.plan, APIs: apis,
		Images: destinations(s.images), Users: map[string]string{}, Processes: map[string]kube.Process{},
		Settings: kube.Settings{
			Namespace: stage.Kubernetes.Namespace, CreateNamespace: stage.Kubernetes.CreateNamespace,
			Ingress: kube.Ingress(stage.Ingress), Profile: stage.Profile,
			Replicas: stage.Replicas, Resources: map[string]kube.Resources{},
			MothershipURL: heartbeatURL(stage, s.launch.plan.Mothership.URL),
		},
	}
	if err := mothershipWay(stage, &in.Settings); err != nil {
		return in, err
	}
	for vanity, r := range stage.Resources {
		in.Settings.Resources[vanity] = kube.Resources(r)
	}
	for _, a := range s.launch.plan.Algorithms {
		config, err := s.launch.config(a.Image.Digest)
		if err != nil {
			return in, err
		}
		in.Users[a.Image.Digest] = config.Config.User
		in.Processes[a.Image.Digest] = kube.Process{Entrypoint: config.Config.Entrypoint, Cmd: config.Config.Cmd}
	}
	return in, s.pull(&in.Settings)
}

// mothershipWay adds the proxy and the certificates of the engines' way to the
// mothership, when they go there.
func mothershipWay(stage Stage, settings *kube.Settings) error {
	if settings.MothershipURL == "" {
		return nil
	}
	settings.MothershipProxy = stage.Mothership.Proxy
	if stage.Mothership.CAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(stage.Mothership.CAFile)
	if err != nil {
		return wrap(err, CodeUsage, "stage.mothership.ca_file")
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return errorf(CodeUsage, "stage.mothership.ca_file: %s has no certificate in PEM form", stage.Mothership.CAFile)
	}
	settings.MothershipCA = string(pem)
	return nil
}

// pull settles which Secret pods pull with.
func (s *session) pull(settings *kube.Settings) (err error) {
	choice := s.config.Stage.Registry.PullSecret
	if existing, ok := strings.CutPrefix(choice, "existing:"); ok {
		settings.PullSecret = existing
		return nil
	}
	if choice != "create" {
		return nil
	}
	if settings.PullConfig, err = s.registry.pullConfig(); err != nil {
		return err
	}
	if settings.PullConfig != nil {
		settings.PullSecret = kube.PullSecretName
	}
	return nil
}

// heartbeatURL is where the satellite reports to: stage.fqdn, else where the
// plan comes from; nowhere when heartbeats are off.
func heartbeatURL(stage Stage, planURL string) string {
	switch {
	case stage.Heartbeat == "off":
		return ""
	case stage.FQDN == "":
		return planURL
	case strings.Contains(stage.FQDN, "://"):
		return stage.FQDN
	case strings.HasPrefix(planURL, "http://"):
		return "http://" + stage.FQDN // the mothership says itself that it has no TLS
	}
	return "https://" + stage.FQDN
}
