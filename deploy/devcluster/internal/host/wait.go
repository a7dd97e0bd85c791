//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/node"
)

// waitUsable waits until what a user needs answers, or says what does not.
func (h *Host) waitUsable(ctx context.Context, o Options, info Info, ended <-chan struct{}) error {
	outer := ctx
	ctx, stop := context.WithTimeoutCause(outer, o.Timeout, fmt.Errorf("not ready after %s", o.Timeout))
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-ended:
			cancel(errors.New("the cluster's first process ended"))
		case <-ctx.Done():
		}
	}()
	client, err := node.Client(info.Kubeconfig)
	if err != nil {
		return err
	}
	checks := []struct {
		what, log string
		probe     func(context.Context) error
	}{
		{"kube-apiserver", "kube-apiserver", func(ctx context.Context) error { return apiReady(ctx, client) }},
		{"node " + info.Name, "kubelet", func(ctx context.Context) error { return nodeReady(ctx, client, info.Name) }},
		{"default service account", "kube-controller-manager", func(ctx context.Context) error {
			_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", meta.GetOptions{})
			return err
		}},
		{"cluster DNS", "coredns", func(ctx context.Context) error { return dnsAnswers(ctx, info.NodeAddress) }},
		{"ingress", "nginx", func(ctx context.Context) error { return ingressAnswers(ctx, info.IngressURL) }},
	}
	for _, c := range checks {
		if c.what == "ingress" && !o.Ingress {
			continue
		}
		if err := poll(ctx, c.probe); err != nil {
			if outer.Err() != nil {
				return errors.New("interrupted")
			}
			return fmt.Errorf("wait for %s: %w%s", c.what, err, node.LogTails(filepath.Join(o.StateDir, "logs"), "node", c.log))
		}
		h.step("%s is ready", c.what)
	}
	return nil
}

func poll(ctx context.Context, probe func(context.Context) error) error {
	for {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := probe(try)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last: %w)", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func apiReady(ctx context.Context, client kubernetes.Interface) error {
	answer, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	var failing []string
	for line := range strings.Lines(string(answer)) {
		if check, ok := strings.CutPrefix(strings.TrimSpace(line), "[-]"); ok {
			failing = append(failing, check)
		}
	}
	if err != nil && len(failing) > 0 {
		return errors.New(strings.Join(failing, ", "))
	}
	return err
}

func nodeReady(ctx context.Context, client kubernetes.Interface, name string) error {
	n, err := client.CoreV1().Nodes().Get(ctx, name, meta.GetOptions{})
	if err != nil {
		return err
	}
	for _, c := range n.Status.Conditions {
		if c.Type == core.NodeReady {
			if c.Status == core.ConditionTrue {
				return nil
			}
			return errors.New(c.Message)
		}
	}
	return errors.New("the node says nothing of its state")
}

func dnsAnswers(ctx context.Context, server string) error {
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(server, "53"))
	}}
	_, err := r.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
	return err
}

func ingressAnswers(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true} // no proxy of the environment
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}
