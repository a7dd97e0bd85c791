package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/pki"
)

// WriteFiles makes the certificates, kubeconfigs and configuration of a
// cluster below its state folder. The paths in them are those of the inside.
func WriteFiles(stateDir string, s Spec) error {
	for _, dir := range []string{"certs", "logs", "cni", "registries", "bin", "tmp", "etcd", "ingress", "volumes", "var/lib/nginx", "var/log/nginx"} {
		if err := os.MkdirAll(filepath.Join(stateDir, dir), 0o755); err != nil {
			return fmt.Errorf("make state folder: %w", err)
		}
	}
	if err := os.Chmod(filepath.Join(stateDir, "tmp"), 0o777|os.ModeSticky); err != nil {
		return fmt.Errorf("make state folder: %w", err)
	}
	if err := writeCertificates(stateDir, s); err != nil {
		return err
	}
	files := map[string]string{
		"containerd.toml":       containerdConfig(s),
		"cni/10-dev.conflist":   cniConfig(s.Network),
		"kubelet.yaml":          kubeletConfig(s.Network),
		"proxy.yaml":            proxyConfig(s),
		"Corefile":              corefile(s),
		"resolv.conf":           fmt.Sprintf("nameserver %s\n", s.Network.Node),
		"sysctl/overcommit":     "1\n",
		"sysctl/panic_on_oom":   "0\n",
		"sysctl/panic":          "10\n",
		"sysctl/panic_on_oops":  "1\n",
		"sysctl/root_maxkeys":   "1000000\n",
		"sysctl/root_maxbytes":  "25000000\n",
		"var/lib/kubelet/.keep": "",
	}
	for name, text := range files {
		path := filepath.Join(stateDir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("make state folder: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	// Pods read the one, etcd wants the other closed.
	if err := errors.Join(os.Chmod(filepath.Join(stateDir, "resolv.conf"), 0o644), os.Chmod(filepath.Join(stateDir, "etcd"), 0o700)); err != nil {
		return fmt.Errorf("write state folder: %w", err)
	}
	return nil
}

func writeCertificates(stateDir string, s Spec) error {
	ca, err := pki.NewAuthority(filepath.Join(stateDir, "certs"))
	if err != nil {
		return err
	}
	if err := ca.ServiceAccountKeys(); err != nil {
		return err
	}
	ip := func(addrs ...netip.Addr) (out []net.IP) {
		for _, a := range addrs {
			out = append(out, a.AsSlice())
		}
		return out
	}
	subjects := map[string]pki.Subject{
		"apiserver": {
			Name: "kube-apiserver",
			DNS:  []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			IPs:  ip(netip.MustParseAddr("127.0.0.1"), s.Network.ServiceIP(), s.Network.Node),
		},
		"admin":   {Name: "admin", Group: "system:masters"},
		"kubelet": {Name: "system:node:" + s.Name, Group: "system:nodes", DNS: []string{s.Name}, IPs: ip(s.Network.Node)},
	}
	for file, subject := range subjects {
		pair, err := ca.Issue(file, subject)
		if err != nil {
			return err
		}
		if file == "apiserver" {
			continue
		}
		text := ca.Kubeconfig(s.Name, s.Network.Server(), pair)
		name := map[string]string{"admin": "kubeconfig", "kubelet": "kubelet.kubeconfig"}[file]
		if err := os.WriteFile(filepath.Join(stateDir, name), text, 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// containerdConfig follows containerd 1.6, Debian's: registries come from
// config_path, read at each pull, so that one can be added while it runs.
func containerdConfig(s Spec) string {
	snapshotter := "overlayfs"
	if !s.Overlay {
		snapshotter = "native"
	}
	return fmt.Sprintf(`version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "/run/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = %q
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = %q
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "%s/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "%s/registries"
`, PauseImage, snapshotter, Inside, Inside)
}

// cniConfig gives each pod a routed link of its own (ptp): what pods say to
// each other passes the node's rules even without bridge netfilter.
func cniConfig(n Network) string {
	return fmt.Sprintf(`{"cniVersion":"0.4.0","name":"devcluster","plugins":[
  {"type":"ptp","ipMasq":true,"ipam":{"type":"host-local","dataDir":"/var/lib/cni/networks","ranges":[[{"subnet":%q}]],"routes":[{"dst":"0.0.0.0/0"}]}},
  {"type":"portmap","capabilities":{"portMappings":true}}]}
`, n.Pods)
}

func kubeletConfig(n Network) string {
	return strings.NewReplacer("INSIDE", Inside, "NODE", n.Node.String()).Replace(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: INSIDE/certs/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix:///run/containerd.sock
failCgroupV1: false
failSwapOn: false
maxPods: 60
serializeImagePulls: false
imageGCHighThresholdPercent: 100
clusterDNS: [NODE]
clusterDomain: cluster.local
resolvConf: INSIDE/resolv.conf
volumePluginDir: /var/lib/kubelet/volume-plugins
healthzBindAddress: 127.0.0.1
tlsCertFile: INSIDE/certs/kubelet.crt
tlsPrivateKeyFile: INSIDE/certs/kubelet.key
evictionHard: {memory.available: 50Mi, nodefs.available: 0%, imagefs.available: 0%, nodefs.inodesFree: 0%}
`)
}

func proxyConfig(s Spec) string {
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: %s/kubeconfig}
clusterCIDR: %s
hostnameOverride: %s
mode: iptables
iptables: {minSyncPeriod: 100ms}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
bindAddress: %s
`, Inside, s.Network.Pods, s.Name, s.Network.Node)
}

func corefile(s Spec) string {
	return fmt.Sprintf(`. {
  bind %s
  errors
  cache 5
  kubernetes cluster.local {
    kubeconfig %s/kubeconfig %s
  }
}
`, s.Network.Node, Inside, s.Name)
}
