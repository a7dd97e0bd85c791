// Command demo is `make demo`: from nothing to an algorithm answering from a
// real cluster, with every command an operator would type printed before it
// runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "\ndemo: %s\n", err)
		os.Exit(1)
	}
}

const usage = "usage: demo up | demo down"

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New(usage)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the demo's own folder: %w", err)
	}
	d := demo{dir: stateDir(), bin: filepath.Dir(self), out: out}
	switch args[0] {
	case "up":
		return d.up(ctx)
	case "down":
		return d.down(ctx)
	}
	return errors.New(usage)
}

// stateDir is outside the checkout, since PostgreSQL's unprivileged user must
// be able to reach it.
func stateDir() string {
	if dir := os.Getenv("DEMO_DIR"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return "/var/lib/constellation-demo"
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "constellation-demo")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("constellation-demo-%d", os.Getuid()))
}

type demo struct {
	dir, bin string
	out      io.Writer
}

// up runs the story, then waits for Ctrl-C and takes everything down again.
func (d demo) up(ctx context.Context) error {
	lock, err := d.lock()
	if err != nil {
		return err
	}
	defer lock.Close()               //nolint:errcheck // released with the process at the latest
	defer os.Remove(d.dir + ".lock") //nolint:errcheck // one that is held next makes it again
	if err := d.clean(ctx); err != nil {
		return err
	}
	kubeconfig, registry := os.Getenv("KUBECONFIG"), os.Getenv("DEMO_REGISTRY")
	if kubeconfig != "" && registry == "" {
		return errors.New("KUBECONFIG is set, so the demo uses that cluster; set DEMO_REGISTRY too, to a registry that it can pull from (host[:port]/path, after docker login), and DEMO_REGISTRY_INSECURE=1 if it speaks plain HTTP")
	}
	if strings.Contains(kubeconfig, string(os.PathListSeparator)) {
		return fmt.Errorf("KUBECONFIG lists several files; set it to one: %s", kubeconfig)
	}
	listen := ""
	if kubeconfig != "" {
		listen = "127.0.0.1:8080"
	}
	s, err := stack.Start(ctx, stack.Options{
		Listen: listen, Insecure: os.Getenv("DEMO_REGISTRY_INSECURE") != "", Ingress: os.Getenv("DEMO_INGRESS"), Dir: d.dir, Bin: d.bin, Name: d.cluster(), Kubeconfig: kubeconfig, Registry: registry, Out: d.out,
	})
	if err != nil {
		return errors.Join(err, d.clean(context.WithoutCancel(ctx)))
	}
	story, err := d.story(ctx, s)
	if err == nil && os.Getenv("DEMO_ONCE") == "" {
		d.goOn(s, story)
		<-ctx.Done()
	}
	s.Say("Taking everything down again")
	if kubeconfig != "" {
		fmt.Fprintf(d.out, "    what was deployed to your cluster stays there; to remove it: kubectl delete namespace %s\n", namespace)
	}
	return errors.Join(err, s.Stop(context.WithoutCancel(ctx)), d.clean(context.WithoutCancel(ctx)))
}

// namespace is where the demo deploys to; a user's own cluster keeps it.
const namespace = "satellite-demo"

// told is what the story made.
type told struct{ satelliteID, launchID, key string }

func (d demo) story(ctx context.Context, s *stack.Stack) (told, error) {
	s.Say("Pushing two algorithms to the mothership's registry, as CI would")
	hello, err := s.PushExample(ctx, "hello", "neo", stack.HashA)
	if err != nil {
		return told{}, err
	}
	shout, err := s.PushExample(ctx, "shout", "neo", stack.HashA)
	if err != nil {
		return told{}, err
	}
	s.Say("Creating the satellite, a key that may call it, and a launch instance")
	t := told{}
	everyMinute := apiv1.Schedule{Name: "every-minute", Cron: "* * * * *", VanityURL: "demo/hello", Input: "schedule", ContentType: "text/plain"}
	if t.satelliteID, err = s.CreateScheduled(ctx, "Demo satellite", []apiv1.Schedule{everyMinute},
		stack.Route{Vanity: "demo/hello", Algorithm: hello, Replicas: 2}, stack.Route{Vanity: "demo/shout", Algorithm: shout, Replicas: 1}); err != nil {
		return t, err
	}
	if t.key, err = s.CreateCallerKey(ctx, t.satelliteID, "demo caller"); err != nil {
		return t, err
	}
	if t.launchID, err = s.CreateLaunch(ctx, t.satelliteID, 1, "Demo cluster"); err != nil {
		return t, err
	}
	s.Say("Installing it, with the operator's own commands")
	if _, err := s.Operate(ctx, t.satelliteID, t.launchID, "get", s.AdminKey); err != nil {
		return t, err
	}
	for _, setting := range append(s.Configure(namespace), "stage.kubernetes.create_namespace=true") {
		if _, err := s.Operate(ctx, t.satelliteID, t.launchID, "configure", setting); err != nil {
			return t, err
		}
	}
	if _, err := s.Operate(ctx, t.satelliteID, t.launchID, "deploy"); err != nil {
		return t, err
	}
	s.CallerKey = t.key
	s.Say("Waiting for the cluster's ingress")
	if err := findIngress(ctx, s); err != nil {
		return t, err
	}
	for _, step := range []func(context.Context, *stack.Stack, told) error{d.callLater, d.callBatch, d.call} {
		if err := step(ctx, s, t); err != nil {
			return t, err
		}
	}
	return t, nil
}

// ingressWait is the longest that an ingress controller is waited for.
const ingressWait = 2 * time.Minute

func findIngress(ctx context.Context, s *stack.Stack) error {
	ctx, cancel := context.WithTimeout(ctx, ingressWait)
	defer cancel()
	return s.Cluster.FindIngress(ctx, namespace)
}

// callLater makes a call that outlives its caller.
func (d demo) callLater(ctx context.Context, s *stack.Stack, t told) error {
	s.Say("Making a call that outlives its caller: it is stored first, and runs when it can")
	input, err := d.write("input.txt", "stored Neo")
	if err != nil {
		return err
	}
	return d.callVerb(ctx, s, t, "stored Neo", "demo/hello", "--input", input, "--void", "--wait")
}

// callBatch calls once a line of a file.
func (d demo) callBatch(ctx context.Context, s *stack.Stack, t told) error {
	s.Say("Making a batch: a call for each line of a file")
	input, err := d.write("in.jsonl", `"Neo"`+"\n"+`"Trinity"`+"\n"+`"Morpheus"`+"\n")
	if err != nil {
		return err
	}
	return d.callVerb(ctx, s, t, "MORPHEUS", "demo/shout", "--batch", input)
}

// callVerb runs the operator's `call`, whose answer must have a text in it.
func (d demo) callVerb(ctx context.Context, s *stack.Stack, t told, want string, args ...string) error {
	answer, err := s.Operate(ctx, t.satelliteID, t.launchID, append([]string{"call"}, args...)...)
	if err == nil && !strings.Contains(answer, want) {
		err = fmt.Errorf("the algorithm answered %s, want %s", answer, want)
	}
	return err
}

// write makes a file for a command to read.
func (d demo) write(name, content string) (string, error) {
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("write an input: %w", err)
	}
	return path, nil
}

// call calls the algorithm through the cluster's ingress.
func (d demo) call(ctx context.Context, s *stack.Stack, t told) error {
	s.Say("Calling the algorithm through the cluster's ingress")
	ctx, cancel := context.WithTimeout(ctx, ingressWait)
	defer cancel()
	fmt.Fprintf(d.out, "\n  $ %s\n", curl(s, t))
	answer, err := s.CallUntil(ctx, t.key, "demo/hello", "text/plain", "Neo", 200)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "    %s\n", answer)
	if !strings.Contains(answer, `"Hello Neo"`) {
		return fmt.Errorf("the algorithm answered %s, want Hello Neo", answer)
	}
	s.Say("Hello Neo: an algorithm answers from a real cluster")
	return nil
}

func curl(s *stack.Stack, t told) string {
	return fmt.Sprintf("curl -H 'Authorization: Simple %s' -H 'Content-Type: text/plain' -d Neo %s/v1/algo/demo/hello", t.key, s.Cluster.IngressURL)
}

// goOn prints where everything is, and what to do next.
func (d demo) goOn(s *stack.Stack, t told) {
	fmt.Fprintf(d.out, `
  Admin panel    %[1]s/            sign in as %[2]s with password %[3]s
  REST API       %[1]s/docs/api    key: %[4]s
  Registry       %[5]s             docker login -u %[2]s, the key as password
  Cluster        export KUBECONFIG=%[6]s
  Operator       export %[7]s
  Server log     %[8]s
`, s.Mothership.URL, stack.AdminUsername, s.AdminPassword, s.AdminKey, s.Mothership.Host, s.Cluster.Kubeconfig, strings.Join(s.OperatorEnv(), " "), s.Mothership.Log())
	fmt.Fprint(d.out, next{Panel: s.Mothership.URL, Call: curl(s, t), Install: fmt.Sprintf("%s/algo-install satellite %s %s", d.bin, t.satelliteID, t.launchID),
		Satellite: "/satellites/" + t.satelliteID, Launch: "/satellites/" + t.satelliteID + "/launches/" + t.launchID, Kubeconfig: s.Cluster.Kubeconfig}.String())
	fmt.Fprintln(d.out, "\n  Ctrl-C takes everything down again; from elsewhere: make demo-down")
}

// next is what a newcomer does once the demo is up.
type next struct{ Panel, Call, Install, Satellite, Launch, Kubeconfig string }

// String returns the steps, each with its command or address.
func (n next) String() string {
	return fmt.Sprintf(`
What next

  1. Call the algorithm:
       %[2]s
  2. Look at what runs, in the admin panel: %[1]s%[4]s
     In a terminal, after the Operator's export above:
       %[3]s status
       %[3]s queue status
       kubectl --kubeconfig %[6]s -n %[7]s get pods
     A schedule calls demo/hello every minute; its last runs are on the launch instance's page: %[1]s%[5]s
  3. Change it. Give demo/hello 3 replicas and save:
       %[1]s%[4]s/edit
     Promote the launch instance to version 2, and bring it there, with the key above on standard input:
       %[1]s%[5]s/promote
       %[3]s get -
       %[3]s deploy
  4. Bring an algorithm of your own: %[1]s/algorithms/push has the commands.
  5. Read on: %[1]s/docs/first-satellite
`, n.Panel, n.Call, n.Install, n.Satellite, n.Launch, n.Kubeconfig, namespace)
}
