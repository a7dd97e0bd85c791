package stack

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/client"
)

// Options say what to start.
type Options struct {
	Dir  string // where state and logs go; must be empty or missing
	Bin  string // where mothership, algo-install and devcluster are
	Name string // of the dev cluster
	// Listen is where the mothership serves; "" is port 8080 on the address
	// by which the dev cluster's pods reach this machine.
	Listen string
	// Kubeconfig and Registry (host[:port]/path, logged in with docker) name
	// the user's own cluster and registry; "" starts them here.
	Kubeconfig, Registry string
	// Insecure says that the user's own Registry speaks plain HTTP.
	Insecure bool
	// Ingress is the provider of the user's own cluster (stage.ingress.provider);
	// "" is generic, which takes the cluster's default class.
	Ingress string
	Out     io.Writer // what is going on, for a person
}

// Stack is a whole Constellation, running.
type Stack struct {
	Options
	Cluster    *Cluster
	Registry   string            // stage.container_registry
	Customer   *CustomerRegistry // nil when the registry is the user's own
	Mothership *Mothership
	Client     *client.Client // with the admin's key

	AdminPassword, AdminKey string
	// CallerKey is what the operator's `call` sends; "" is none.
	CallerKey string
	started   time.Time
}

// AdminUsername is the account that a Stack makes.
const AdminUsername = "admin"

// Start starts everything; on an error what was started is stopped again.
func Start(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{Options: o, started: time.Now()}
	return s, s.start(ctx, s.startCluster, s.startRegistry, s.startMothership, s.createAdmin)
}

// StartCustomer starts what a customer has, a cluster and a registry, and no
// mothership.
func StartCustomer(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{Options: o, started: time.Now()}
	return s, s.start(ctx, s.startCluster, s.startRegistry)
}

func (s *Stack) start(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return errors.Join(err, s.Stop(context.WithoutCancel(ctx)))
		}
	}
	return nil
}

// Adopt makes a mothership that somebody else runs the stack's, with an admin.
func (s *Stack) Adopt(ctx context.Context, m *Mothership) error {
	s.Mothership = m
	return s.createAdmin(ctx)
}

// Stop stops everything that Start started, in the opposite order.
func (s *Stack) Stop(ctx context.Context) error {
	var errs []error
	if s.Mothership != nil {
		errs = append(errs, s.Mothership.Stop())
	}
	if s.Customer != nil {
		errs = append(errs, s.Customer.Stop())
	}
	return errors.Join(append(errs, s.Cluster.Stop(ctx, s.Out))...)
}

// Say prints one step of the story with the time since the start.
func (s *Stack) Say(format string, args ...any) {
	fmt.Fprintf(s.Out, "\n==> [%3.0fs] %s\n", time.Since(s.started).Seconds(), fmt.Sprintf(format, args...))
}

func (s *Stack) startCluster(ctx context.Context) (err error) {
	if s.Kubeconfig != "" {
		s.Say("Using the cluster of KUBECONFIG=%s", s.Kubeconfig)
		s.Cluster = &Cluster{Kubeconfig: s.Kubeconfig, HostAddress: "127.0.0.1"}
		return nil
	}
	s.Say("Starting a real single-node Kubernetes cluster")
	s.Cluster, err = StartCluster(ctx, filepath.Join(s.Bin, "devcluster"), s.Name, s.Dir, s.Out)
	return err
}

func (s *Stack) startRegistry(ctx context.Context) (err error) {
	if s.Options.Registry != "" {
		s.Say("Using the registry %s, with the login of this machine's docker config", s.Options.Registry)
		s.Registry = s.Options.Registry
		return nil
	}
	s.Say("Starting the customer's private registry")
	s.Customer, err = StartCustomerRegistry(ctx, filepath.Join(s.Dir, "registry"), net.JoinHostPort(s.Cluster.HostAddress, CustomerPort), secret())
	if err != nil {
		return err
	}
	s.Registry = s.Customer.Address + "/customer"
	fmt.Fprintf(s.Out, "    %s, logged in as %s (what `docker login` writes is in %s)\n", s.Customer.Address, s.Customer.Username, s.Customer.DockerConfig)
	return nil
}

func (s *Stack) startMothership(ctx context.Context) (err error) {
	s.Say("Starting the mothership, with a private PostgreSQL of its own")
	listen := s.Listen
	if listen == "" {
		listen = net.JoinHostPort(s.Cluster.HostAddress, "8080")
	}
	s.Mothership, err = StartMothership(ctx, filepath.Join(s.Bin, "mothership"), filepath.Join(s.Dir, "mothership"), listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Out, "    %s is ready\n", s.Mothership.URL)
	return nil
}

func (s *Stack) createAdmin(ctx context.Context) (err error) {
	s.Say("Making an admin account and its API key")
	s.AdminPassword = secret()
	if _, err := s.Mothership.Administer(ctx, s.AdminPassword+"\n", "account", "create", AdminUsername, "--role", "admin", "--password-stdin"); err != nil {
		return err
	}
	s.AdminKey, err = s.Mothership.Administer(ctx, "", "api-key", "create", "--account", AdminUsername, "--role", "admin")
	if err != nil {
		return err
	}
	s.Client = client.New(s.Mothership.URL, s.AdminKey, &http.Client{Timeout: time.Minute})
	return nil
}

// secret is 128 random bits as hex.
func secret() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// DeploymentDir is where the operator's commands keep launches.
func (s *Stack) DeploymentDir() string { return filepath.Join(s.Dir, "deployment") }

// OperatorEnv is the environment of the operator's commands.
func (s *Stack) OperatorEnv() []string {
	env := []string{"ALGO_DEPLOYMENT_DIR=" + s.DeploymentDir(), "ALGO_MOTHERSHIP=" + s.Mothership.URL}
	if s.Customer != nil {
		env = append(env, "DOCKER_CONFIG="+s.Customer.DockerConfig)
	}
	if s.CallerKey != "" {
		env = append(env, "ALGO_API_KEY="+s.CallerKey)
	}
	return env
}

// Operate runs `algo-install satellite SATELLITE LAUNCH args…` as the
// operator does, printing the command before it runs; it gives its stdout.
func (s *Stack) Operate(ctx context.Context, satelliteID, launchID string, args ...string) (string, error) {
	line := append([]string{"satellite", satelliteID, launchID}, args...)
	fmt.Fprintf(s.Out, "\n  $ algo-install %s\n", strings.ReplaceAll(strings.Join(line, " "), s.AdminKey, "ADMIN_API_KEY"))
	out, err := Command{Args: append([]string{filepath.Join(s.Bin, "algo-install")}, line...), Env: s.OperatorEnv(), Progress: s.Out}.Run(ctx)
	for line := range strings.Lines(out) {
		fmt.Fprintf(s.Out, "    %s", line)
	}
	return out, err
}

// Configure is the configuration that this stack's cluster and registry need,
// as KEY=VALUE, some with the leading dot that a key may have.
func (s *Stack) Configure(namespace string) []string {
	var settings []string
	if s.Customer != nil || s.Insecure { // before the registry, which is tried when it is set
		settings = append(settings, "stage.registry.insecure=true")
	}
	settings = append(settings,
		"stage.container_registry="+s.Registry,
		".stage.kubernetes.kubeconfig_path="+s.Cluster.Kubeconfig,
		".stage.kubernetes.namespace="+namespace,
		".stage.fqdn="+s.Mothership.Host,
	)
	switch {
	case s.Kubeconfig == "":
		settings = append(settings, "stage.ingress.provider=nginx")
	case s.Ingress != "":
		settings = append(settings, "stage.ingress.provider="+s.Ingress)
	}
	return settings
}

// Call posts a text to an algorithm through the cluster's ingress and gives
// the status and body of the answer.
func (s *Stack) Call(ctx context.Context, key, vanityURL, contentType, body string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Cluster.IngressURL+"/v1/algo/"+vanityURL, strings.NewReader(body))
	if err != nil {
		return 0, "", fmt.Errorf("call %s: %w", vanityURL, err)
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Authorization", "Simple "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", fmt.Errorf("call %s: %w", vanityURL, err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return 0, "", fmt.Errorf("call %s: %w", vanityURL, err)
	}
	return response.StatusCode, string(answer), nil
}
