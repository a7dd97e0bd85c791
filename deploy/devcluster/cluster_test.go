//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/host"
	"github.com/constellation-serving/constellation/deploy/devcluster/internal/node"
)

// TestMain lets the test program be what runs inside the clusters it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "node-") {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestClusters starts two clusters at the same moment, uses one as a satellite
// would, breaks parts of it, ends both, and looks for what is left.
func TestClusters(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a cluster needs root")
	}
	if err := host.RequirePackages(true); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	names := []string{fmt.Sprintf("test-a%d", os.Getpid()), fmt.Sprintf("test-b%d", os.Getpid())}
	t.Cleanup(func() {
		for _, name := range names {
			devcluster(t, "down", "--name", name)
		}
	})
	before := machine(t, names)
	registry := newRegistry(t)

	var both sync.WaitGroup
	infos := make([]host.Info, len(names))
	for i, name := range names {
		state := filepath.Join(t.TempDir(), "state")
		both.Go(func() {
			out := devcluster(t, "up", "--name", name, "--state", state, "--insecure-registry", ":"+registry.port)
			if want := "export KUBECONFIG=" + state + "/kubeconfig\n"; out != want {
				t.Errorf("up printed %q, want %q", out, want)
			}
			infos[i] = readInfo(t, state)
		})
	}
	both.Wait()
	if t.Failed() {
		t.FailNow()
	}
	a, b := infos[0], infos[1]
	if a.NodeAddress == b.NodeAddress || a.PodCIDR == b.PodCIDR || a.ServiceCIDR == b.ServiceCIDR {
		t.Errorf("two clusters share addresses: %+v and %+v", a, b)
	}
	namespaces := []string{pidNamespace(t, a.PID), pidNamespace(t, b.PID)}
	devcluster(t, "down", "--name", b.Name)

	if out := devcluster(t, "up", "--name", a.Name); out != "export KUBECONFIG="+a.Kubeconfig+"\n" {
		t.Errorf("up of a cluster that is up printed %q", out)
	}
	client, err := node.Client(a.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	useCluster(ctx, t, client, a, registry)

	devcluster(t, "down", "--name", a.Name)
	if left := processesIn(t, namespaces); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	if left := addressesLeft(t, infos); len(left) > 0 {
		t.Errorf("links or routes left: %v", left)
	}
	compareMachines(t, before, machine(t, names))
}

// useCluster runs an application of the private registry and calls it every way.
func useCluster(ctx context.Context, t *testing.T, client kubernetes.Interface, info host.Info, registry *privateRegistry) {
	t.Helper()
	image := registry.pushHello(t)
	_, reference, _ := strings.Cut(image, "/")
	deployHello(ctx, t, client, info.HostAddress+":"+registry.port+"/"+reference, registry)
	waitDeployment(ctx, t, client)

	hello := info.IngressURL + "/app/hello"
	eventually(ctx, t, func() error { return expect(ctx, hello, http.StatusOK, "hello 5") })
	if err := expect(ctx, info.IngressURL+"/other", http.StatusNotFound, ""); err != nil {
		t.Error(err)
	}
	if err := expectSize(ctx, hello, 3<<20, http.StatusRequestEntityTooLarge); err != nil {
		t.Error(err)
	}
	fetch := func(target string) string { return info.IngressURL + "/app/fetch?url=" + url.QueryEscape(target) }
	for what, probe := range map[string]func() error{
		"pod to service by name": func() error {
			return expect(ctx, fetch("http://hello.app.svc.cluster.local/app/hello"), http.StatusOK, "hello 0")
		},
		"pod to service by short name": func() error { return expect(ctx, fetch("http://hello/app/hello"), http.StatusOK, "hello 0") },
		"pod to this machine": func() error {
			return expect(ctx, fetch("http://"+info.HostAddress+":"+registry.port+"/v2/"), http.StatusUnauthorized, "")
		},
		"this machine to service": func() error {
			return expect(ctx, "http://"+serviceIP(ctx, t, client)+"/app/hello", http.StatusOK, "hello 5")
		},
		"logs": func() error { return expectLogs(ctx, client, "listening") },
	} {
		if err := probe(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	volumesFollowTheirClaims(ctx, t, client, info, info.HostAddress+":"+registry.port+"/"+reference)
	rolloutLosesNothing(ctx, t, client, hello)
	restartsWhatDied(ctx, t, info, hello)
}

// rolloutLosesNothing calls without a break while every pod is replaced.
func rolloutLosesNothing(ctx context.Context, t *testing.T, client kubernetes.Interface, target string) {
	t.Helper()
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					t.Logf("%d calls during the rollout", n)
					return
				default:
				}
				if err := expect(ctx, target, http.StatusOK, "hello 5"); err != nil {
					t.Errorf("call %d during a rollout: %v", n, err)
					return
				}
				time.Sleep(5 * time.Millisecond) // a caller, not a flood
			}
		})
	}
	restartDeployment(ctx, t, client)
	waitDeployment(ctx, t, client)
	close(stop)
	callers.Wait()
}

// restartsWhatDied kills nginx and waits for it to be back.
func restartsWhatDied(ctx context.Context, t *testing.T, info host.Info, target string) {
	t.Helper()
	killNamed(t, pidNamespace(t, info.PID), "nginx: master")
	eventually(ctx, t, func() error {
		if !strings.Contains(devcluster(t, "status"), "nginx started again") {
			return fmt.Errorf("status does not tell of nginx")
		}
		return expect(ctx, target, http.StatusOK, "hello 5")
	})
}

// devcluster runs a command of the program and gives its standard output.
func devcluster(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(context.WithoutCancel(t.Context()), args, strings.NewReader(""), &stdout, &stderr); code != 0 {
		t.Errorf("devcluster %s: exit %d\n%s", strings.Join(args, " "), code, stderr.String())
	}
	t.Logf("devcluster %s\n%s", strings.Join(args, " "), stderr.String())
	return stdout.String()
}

func readInfo(t *testing.T, state string) (info host.Info) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(state, "cluster.json"))
	if err == nil {
		err = json.Unmarshal(data, &info)
	}
	if err != nil {
		t.Error(err)
	}
	return info
}

func expect(ctx context.Context, target string, status int, body string) error {
	got, text, err := post(ctx, target, strings.NewReader("12345"))
	if err != nil {
		return err
	}
	if got != status || !strings.Contains(text, body) {
		return fmt.Errorf("POST %s: %d %q, want %d %q", target, got, text, status, body)
	}
	return nil
}

func expectSize(ctx context.Context, target string, size, status int) error {
	got, _, err := post(ctx, target, bytes.NewReader(make([]byte, size)))
	if err == nil && got != status {
		return fmt.Errorf("POST %s of %d bytes: %d, want %d", target, size, got, status)
	}
	return err
}

func post(ctx context.Context, target string, body io.Reader) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, body)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func eventually(ctx context.Context, t *testing.T, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after a minute: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
