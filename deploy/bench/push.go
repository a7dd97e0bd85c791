package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/constellation-serving/constellation/internal/stack"
)

// pushes measures the push into an empty registry, and the push again.
func (b *bench) pushes(ctx context.Context, l *moved, layouts []string, kind string, rounds int) error {
	var registry *target
	fresh := func(ctx context.Context, place string) (err error) {
		if registry != nil {
			registry.stop()
		}
		registry, err = b.startRegistry(ctx, kind, place)
		return err
	}
	defer func() {
		if registry != nil {
			registry.stop()
		}
	}()
	ours := func(ctx context.Context) (sample, error) {
		return b.push(ctx, l, b.deployment(), registry.host)
	}
	crane := func(ctx context.Context) (sample, error) {
		return b.each(layouts, func(n int, layout string) (sample, error) {
			return b.measure(ctx, b.crane, "push", "--insecure", layout, fmt.Sprintf("%s/team/crane:v%d", registry.host, n))
		})
	}
	skopeo := func(ctx context.Context) (sample, error) {
		return b.each(layouts, func(n int, layout string) (sample, error) {
			return b.measure(ctx, b.skopeo, "copy", "--quiet", "--dest-tls-verify=false", "oci:"+layout, fmt.Sprintf("docker://%s/team/skopeo:v%d", registry.host, n))
		})
	}
	again := map[string][]float64{}
	with := func(name string, push func(context.Context) (sample, error)) tool {
		return tool{name, func(ctx context.Context, place string) (sample, error) {
			if err := fresh(ctx, place); err != nil {
				return sample{}, err
			}
			first, err := push(ctx)
			if err != nil {
				return sample{}, err
			}
			second, err := push(ctx)
			again[name] = append(again[name], second.seconds)
			return first, err
		}}
	}
	tools := []tool{with("algo-install push", ours), with("crane push, four times", crane), with("skopeo copy, four times", skopeo)}
	if err := b.compare(ctx, "push: the same, into an empty registry ("+kind+")", tools, rounds); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\n| push again, all is there (%s) | median s |\n|---|---|\n", kind)
	for _, t := range tools {
		fmt.Fprintf(b.out, "| %s | %.3f |\n", t.name, median(again[t.name]))
	}
	return nil
}

// push pushes the launch below root to the registry at host.
func (b *bench) push(ctx context.Context, l *moved, root, host string) (sample, error) {
	if _, err := b.measure(ctx, b.binary, "algo-install", "satellite", l.satellite, l.id, "configure", "--deployment-dir", root,
		"stage.container_registry="+host+"/team", "stage.registry.insecure=true"); err != nil {
		return sample{}, err
	}
	return b.measure(ctx, b.binary, "algo-install", "satellite", l.satellite, l.id, "push", "--deployment-dir", root)
}

// target is a registry to push to.
type target struct {
	host string
	stop func()
}

func (b *bench) startRegistry(ctx context.Context, kind, dir string) (*target, error) {
	if kind != "crane's registry" {
		r, err := stack.StartCustomerRegistry(ctx, dir, "127.0.0.1:0", "secret")
		if err != nil {
			return nil, err
		}
		t := &target{host: r.Address, stop: func() { _ = r.Stop() }}
		return t, b.logIn(map[string]string{b.mothership.Host: account + ":" + b.key, r.Address: r.Username + ":" + r.Password})
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	host := listener.Addr().String()
	if err := errors.Join(listener.Close(), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, fmt.Errorf("start crane's registry: %w", err)
	}
	cmd := exec.CommandContext(ctx, b.crane, "registry", "serve", "--address", host, "--disk", dir)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start crane's registry: %w", err)
	}
	t := &target{host: host, stop: func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }}
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if response, err := http.Get("http://" + host + "/v2/"); err == nil { //nolint:noctx // a moment on loopback
			return t, response.Body.Close()
		}
		if time.Now().After(limit) {
			t.stop()
			return nil, errors.New("start crane's registry: it does not answer")
		}
	}
}

// logIn writes the docker logins that every tool reads.
func (b *bench) logIn(logins map[string]string) error {
	auths := map[string]any{}
	for host, login := range logins {
		auths[host] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(login))}
	}
	data, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	return os.WriteFile(filepath.Join(b.docker, "config.json"), data, 0o600)
}
