package node

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// Client is a client with a kubeconfig's identity.
func Client(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kubeconfig, err)
	}
	config.QPS, config.Burst = 100, 200
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make client from %s: %w", kubeconfig, err)
	}
	return client, nil
}

// WaitReady waits until the API server says it is ready.
func WaitReady(ctx context.Context, client kubernetes.Interface) error {
	for {
		body, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err == nil && string(body) == "ok" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for kube-apiserver: %w (last answer: %w)", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// EtcdArgs run an etcd on loopback that does not wait for the disk.
func EtcdArgs(dir string, clientPort, peerPort int) []string {
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", clientPort), fmt.Sprintf("http://127.0.0.1:%d", peerPort)
	return []string{
		"--data-dir", dir, "--unsafe-no-fsync", "--log-level", "warn", "--logger", "zap", "--log-outputs", "stderr",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer,
	}
}

// APIServerArgs are the flags every API server here shares; certs is the
// folder with its certificates.
func APIServerArgs(certs string, etcdPort int, services string) []string {
	return []string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", etcdPort), "--service-cluster-ip-range=" + services,
		"--cert-dir=" + certs, "--client-ca-file=" + certs + "/ca.crt",
		"--tls-cert-file=" + certs + "/apiserver.crt", "--tls-private-key-file=" + certs + "/apiserver.key",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + certs + "/sa.pub", "--service-account-signing-key-file=" + certs + "/sa.key",
		"--authorization-mode=Node,RBAC",
	}
}
