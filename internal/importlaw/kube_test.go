package importlaw

import (
	"maps"
	"strings"
	"testing"
)

// kubeDirect is the part of direct for what puts a launch on a cluster.
var kubeDirect = map[string][]string{
	"internal/kube/render":            {"internal/bundle", "internal/constellation", "internal/kube/egress", "internal/kube/placement", "internal/outbound", "internal/satellite/config"},
	"internal/kube/egress":            {"internal/outbound"},
	"internal/kube/placement":         {"internal/constellation"},
	"internal/kube/kubeconfig":        {},
	"internal/kube/cluster":           {"internal/kube/kubeconfig", "internal/kube/render", "internal/retry"},
	"internal/kube/cluster/transport": {"internal/retry"},
	"internal/kube/apply":             {"internal/kube/cluster", "internal/kube/render", "internal/bundle"},
	"internal/kube/health":            {"internal/constellation", "internal/kube/cluster", "internal/kube/egress", "internal/kube/render", "internal/satellite/config", "internal/satellite/runner"},
	"internal/kube/secrets":           {"internal/bundle", "internal/constellation", "internal/kube/cluster", "internal/kube/render"},
	"internal/kube/preflight": {"internal/bundle", "internal/constellation", "internal/kube/apply", "internal/kube/cluster", "internal/kube/egress", "internal/kube/placement", "internal/kube/render", "internal/kube/room", "internal/kube/secrets",
		"internal/kube/storage", "internal/satellite/config"},
	"internal/kube/room":    {"internal/kube/placement", "internal/kube/render"},
	"internal/kube/storage": {},
	"internal/kube/rollout": {"internal/kube/apply", "internal/kube/cluster", "internal/kube/health", "internal/kube/render",
		"internal/bundle", "internal/satellite/config"},
}

// unreached says which packages a package reaches at no distance, and why.
var unreached = []struct {
	from, root, why string
}{
	{"internal/kube/render", "k8s.io/client-go", "rendering asks no cluster"},
	{"internal/kube/placement", "k8s.io/client-go", "what places pods asks no cluster"},
	{"internal/kube/egress", "k8s.io/client-go", "what algorithms may reach is read without a cluster"},
	{"internal/kube/room", "k8s.io/client-go", "what counts room asks no cluster"},
}

func checkUnreached(t *testing.T, path string, deps []string) {
	t.Helper()
	for _, rule := range unreached {
		if !under(path, []string{rule.from}) {
			continue
		}
		for _, dep := range deps {
			if under(strings.TrimPrefix(dep, module), []string{rule.root}) {
				t.Errorf("%s reaches %s: %s", path, dep, rule.why)
			}
		}
	}
}

func joined(a, b map[string][]string) map[string][]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
