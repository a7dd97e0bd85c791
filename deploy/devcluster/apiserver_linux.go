package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/components"
	"github.com/constellation-serving/constellation/deploy/devcluster/internal/node"
	"github.com/constellation-serving/constellation/deploy/devcluster/internal/pki"
)

func apiserverCommand() *cobra.Command {
	var version, state string
	cmd := &cobra.Command{
		Use:   "apiserver",
		Short: "Run only etcd and a kube-apiserver on loopback, to test against",
		Long: `Run only etcd and a kube-apiserver on free loopback ports, without root, until
interrupted or until standard input ends. The path of the kubeconfig is printed
on standard output when the server is ready.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			component, err := components.APIServer(version)
			if err != nil {
				return err
			}
			addSystemPath()
			program, err := components.Build(cmd.Context(), component, progress(cmd))
			if err != nil {
				return err
			}
			dir, err := filepath.Abs(state)
			if err != nil {
				return fmt.Errorf("find state folder: %w", err)
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			go func() { // a test that dies closes its end
				_, _ = io.Copy(io.Discard, bufio.NewReader(cmd.InOrStdin()))
				cancel()
			}()
			return runAPIServer(ctx, program, dir, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&version, "version", "1.37.2", "kube-apiserver `VERSION`: 1.37.2 or 1.32.2")
	cmd.Flags().StringVar(&state, "state", "", "`DIR` for its files, which must not exist or be empty; removed at the end")
	_ = cmd.MarkFlagRequired("state")
	return cmd
}

// addSystemPath finds etcd whatever PATH the caller has.
func addSystemPath() {
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/usr/bin")
}

func runAPIServer(ctx context.Context, program, dir string, stdout, stderr io.Writer) (err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("state folder %s is not empty: choose another with --state", dir)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	kubeconfig, err := writeAPIServerFiles(dir, ports[2])
	if err != nil {
		return err
	}
	runner := &node.Runner{LogDir: dir, Say: stderr}
	serving, cancel := context.WithCancel(ctx)
	defer runner.Wait()
	defer cancel()
	runner.Run(serving, node.Process{Name: "etcd", Path: "etcd", Args: node.EtcdArgs(filepath.Join(dir, "etcd"), ports[0], ports[1])})
	args := append([]string{"kube-apiserver", "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none", "--secure-port=" + strconv.Itoa(ports[2])},
		node.APIServerArgs(filepath.Join(dir, "certs"), ports[0], "10.96.0.0/20")...)
	runner.Run(serving, node.Process{Name: "kube-apiserver", Path: program, Args: args})
	client, err := node.Client(kubeconfig)
	if err != nil {
		return err
	}
	starting, stop := context.WithTimeoutCause(ctx, time.Minute, errors.New("not ready after a minute"))
	defer stop()
	if err := node.WaitReady(starting, client); err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it was ready
		}
		return fmt.Errorf("%w%s", err, node.LogTails(dir, "etcd", "kube-apiserver"))
	}
	if _, err := fmt.Fprintln(stdout, kubeconfig); err != nil {
		return fmt.Errorf("print kubeconfig: %w", err)
	}
	<-ctx.Done()
	return nil
}

func writeAPIServerFiles(dir string, port int) (string, error) {
	ca, err := pki.NewAuthority(filepath.Join(dir, "certs"))
	if err != nil {
		return "", err
	}
	if err := ca.ServiceAccountKeys(); err != nil {
		return "", err
	}
	if _, err := ca.Issue("apiserver", pki.Subject{
		Name: "kube-apiserver", DNS: []string{"localhost", "kubernetes.default.svc"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)},
	}); err != nil {
		return "", err
	}
	admin, err := ca.Issue("admin", pki.Subject{Name: "admin", Group: "system:masters"})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(path, ca.Kubeconfig("apiserver", fmt.Sprintf("https://127.0.0.1:%d", port), admin), 0o600); err != nil {
		return "", fmt.Errorf("write kubeconfig: %w", err)
	}
	return path, nil
}

// freePorts asks the kernel for loopback ports nobody listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
