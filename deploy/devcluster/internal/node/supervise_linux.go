package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/ingress"
	"github.com/constellation-serving/constellation/deploy/devcluster/internal/storage"
)

// Supervise starts the components in order and keeps them running until ctx ends.
func Supervise(ctx context.Context) error {
	spec, err := ReadSpec(Inside)
	if err != nil {
		return err
	}
	raiseFileLimit()
	runner := &Runner{LogDir: Inside + "/logs", StatusFile: Inside + "/components.json", Say: os.Stderr}
	ctx, cancel := context.WithCancel(ctx)
	defer runner.Wait()
	defer cancel()
	kube := func(name string, args ...string) {
		runner.Run(ctx, Process{Name: name, Path: Inside + "/bin/kube", Args: append([]string{name}, args...)})
	}
	runner.Run(ctx, Process{Name: "containerd", Path: "containerd", Args: []string{"--config", Inside + "/containerd.toml"}})
	runner.Run(ctx, Process{Name: "etcd", Path: "etcd", Args: EtcdArgs(Inside+"/etcd", 2379, 2380)})
	kube("kube-apiserver", apiserverArgs(spec)...)
	if err := importPause(ctx); err != nil {
		return err
	}
	client, err := Client(Inside + "/kubeconfig")
	if err != nil {
		return err
	}
	if err := WaitReady(ctx, client); err != nil {
		return err
	}
	startNode(ctx, runner, kube, spec)
	if !spec.Ingress {
		return provide(ctx, client, spec)
	}
	volumes := make(chan error, 1)
	go func() {
		defer cancel() // the cluster ends with any part of it
		volumes <- provide(ctx, client, spec)
	}()
	proxy := &ingress.Nginx{
		Dir: Inside + "/ingress", Address: spec.Network.Node.String(),
		Start: func() {
			runner.Run(ctx, Process{Name: "nginx", Path: "nginx", Args: []string{"-c", Inside + "/ingress/nginx.conf"}})
		},
		Reload: func() error {
			if pid := runner.PID("nginx"); pid > 0 {
				return syscall.Kill(pid, syscall.SIGHUP)
			}
			return nil // it reads the new configuration when it starts
		},
	}
	err = ingress.Watch(ctx, client, proxy, os.Stderr)
	cancel()
	return errors.Join(err, <-volumes)
}

// provide makes the volumes of the cluster's own disk until ctx ends.
func provide(ctx context.Context, client kubernetes.Interface, spec Spec) error {
	return storage.Watch(ctx, client, storage.Disk{Dir: Inside + "/volumes", Node: spec.Name}, os.Stderr)
}

func apiserverArgs(s Spec) []string {
	certs := Inside + "/certs"
	return append(APIServerArgs(certs, 2379, s.Network.Services.String()),
		"--secure-port=6443", "--bind-address=0.0.0.0", "--advertise-address="+s.Network.Node.String(), "--allow-privileged=true",
		"--kubelet-client-certificate="+certs+"/admin.crt", "--kubelet-client-key="+certs+"/admin.key",
		"--kubelet-preferred-address-types=InternalIP")
}

func startNode(ctx context.Context, runner *Runner, kube func(string, ...string), s Spec) {
	kubeconfig, certs := "--kubeconfig="+Inside+"/kubeconfig", Inside+"/certs"
	kube("kube-controller-manager", kubeconfig, "--bind-address=127.0.0.1", "--leader-elect=false",
		"--use-service-account-credentials=true", "--service-account-private-key-file="+certs+"/sa.key",
		"--root-ca-file="+certs+"/ca.crt", "--cluster-signing-cert-file="+certs+"/ca.crt", "--cluster-signing-key-file="+certs+"/ca.key",
		"--flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins",
		"--kube-api-qps=300", "--kube-api-burst=600") // it makes an identity per controller first: seconds at the default rate
	kube("kube-scheduler", kubeconfig, "--bind-address=127.0.0.1", "--leader-elect=false")
	kube("kubelet", "--config="+Inside+"/kubelet.yaml", "--kubeconfig="+Inside+"/kubelet.kubeconfig",
		"--hostname-override="+s.Name, "--root-dir=/var/lib/kubelet", "--node-ip="+s.Network.Node.String())
	kube("kube-proxy", "--config="+Inside+"/proxy.yaml")
	runner.Run(ctx, Process{Name: "coredns", Path: Inside + "/bin/coredns", Args: []string{"-conf", Inside + "/Corefile", "-dns.port", "53"}})
}

// importPause gives containerd the sandbox image as soon as it answers.
func importPause(ctx context.Context) error {
	program, err := os.ReadFile(Inside + "/bin/pause")
	if err != nil {
		return fmt.Errorf("read pause program: %w", err)
	}
	path := filepath.Join(Inside, "tmp", "pause.tar")
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write pause image: %w", err)
	}
	if err := errors.Join(WritePauseImage(file, PauseImage, program), file.Close()); err != nil {
		return err
	}
	defer func() { _ = os.Remove(path) }()
	for attempt := 0; ; attempt++ {
		out, err := exec.CommandContext(ctx, "ctr", "-a", "/run/containerd.sock", "-n", "k8s.io", "images", "import", path).CombinedOutput() //nolint:gosec // our own arguments
		if err == nil {
			return nil
		}
		if attempt > 100 {
			return fmt.Errorf("import pause image: %w: %s", err, out)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("import pause image: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// raiseFileLimit lets the components open as many files as the machine allows.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}
