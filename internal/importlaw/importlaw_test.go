// Package importlaw keeps the house's import law: which internal package may
// import which.
package importlaw

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/constellation-serving/constellation/"

// server are the packages that the installer and the satellite stay free of,
// so that they run where no mothership is.
var server = []string{"internal/serve", "internal/postgres", "internal/jobs", "internal/ratelimit", "internal/space", "internal/control", "internal/auditstream", "internal/notify", "web", "internal/api", "internal/admin", "internal/registry", "internal/storage", "internal/backup", "internal/importer"}

// direct says which packages of this module a package, and those below it,
// may import; what is not named here has no such rule.
var direct = map[string][]string{
	"internal/tracing":       {"internal/constellation"},
	"internal/support":       {"internal/constellation"},
	"internal/backup":        {"internal/constellation", "internal/postgres", "internal/storage"},
	"internal/constellation": {},
	"internal/apiv1":         {},
	"internal/retry":         {},
	"internal/cron":          {},
	"internal/webhook":       {},
	"internal/auditstream":   {"internal/constellation", "internal/outbound", "internal/webhook"},
	"internal/notify":        {"internal/tracing", "internal/auth", "internal/constellation", "internal/jobs", "internal/outbound", "internal/postgres", "internal/webhook"},
	"internal/auth":          {"internal/constellation"},
	"internal/bundle":        {"internal/constellation"},
	"internal/client":        {"internal/apiv1", "internal/retry"},
	"web":                    {"internal/constellation"},
	"internal/postgres":      {"internal/tracing", "internal/constellation", "internal/retry", "migrations"},
	"internal/jobs":          {"internal/tracing", "internal/constellation", "internal/postgres"},
	"internal/ratelimit":     {"internal/constellation", "internal/postgres"},
	"internal/control":       {"internal/tracing", "internal/ratelimit", "internal/constellation", "internal/cron", "internal/jobs", "internal/postgres", "internal/bundle", "internal/auth", "internal/signon", "internal/space", "internal/notify"},
	"internal/space":         {"internal/constellation", "internal/postgres", "internal/bundle", "internal/notify"},
	"internal/signon":        {"internal/tracing", "internal/constellation", "internal/outbound"},
	"internal/api":           {"internal/control", "internal/space", "internal/constellation", "internal/apiv1", "internal/cron", "internal/httpserve", "internal/ratelimit", "internal/bundle", "web"},
	"internal/install/store": {"internal/bundle", "internal/install/fault", "internal/install/progress", "internal/install/terminal"},
	"internal/install/settings": {"internal/bundle", "internal/constellation", "internal/install/fault", "internal/install/progress", "internal/install/registry", "internal/install/store",
		"internal/kube/egress", "internal/kube/kubeconfig", "internal/kube/placement", "internal/kube/render", "internal/satellite/config"},
	"internal/install/transfer": {"internal/bundle", "internal/constellation", "internal/retry", "internal/install/connection", "internal/install/fault", "internal/install/mothership", "internal/install/progress",
		"internal/install/registry", "internal/install/store"},
	"internal/install/mothership": {"internal/apiv1", "internal/retry", "internal/install/connection", "internal/install/fault", "internal/install/terminal"},
	"internal/install/manifests":  {"internal/bundle", "internal/install/fault", "internal/install/store", "internal/kube/render"},
	"internal/install/places":     {"internal/install/fault", "internal/install/settings", "internal/install/store", "internal/kube"},
	"internal/install/reach":      {"internal/install/connection", "internal/install/settings", "internal/kube", "internal/satellite/config"},
	"internal/install/waitview":   {"internal/install/progress", "internal/install/terminal", "internal/kube/apply", "internal/kube/health"},
	"internal/install/registry":   {"internal/bundle", "internal/retry", "internal/install/connection", "internal/install/fault", "internal/install/terminal"},
	"internal/install/target":     {"internal/install/fault", "internal/install/progress", "internal/install/settings", "internal/kube"},
	"internal/install/queue":      {"internal/install/fault", "internal/install/progress", "internal/install/target", "internal/kube", "internal/retry", "internal/satellite/operate"},
	"internal/install/call":       {"internal/install/fault", "internal/install/progress", "internal/install/store"},
	"internal/install/claim":      {"internal/bundle", "internal/constellation", "internal/install/fault", "internal/install/progress", "internal/install/registry", "internal/install/transfer"},
	"internal/install/checks":     {"internal/bundle", "internal/install/fault", "internal/install/registry", "internal/install/settings", "internal/install/terminal", "internal/install/transfer", "internal/kube"},
	"internal/install/settle":     {"internal/constellation", "internal/install/fault", "internal/install/target", "internal/kube"},
	"internal/install/launchfile": {"internal/bundle", "internal/install/fault", "internal/install/progress", "internal/install/settings", "internal/install/terminal"},
	"internal/install/needs":      {"internal/install/ask", "internal/install/fault", "internal/install/launchfile", "internal/install/settings", "internal/install/store"},
	"internal/install/support":    {"internal/constellation", "internal/support", "internal/install/fault", "internal/kube"},
	"internal/install/ask":        {"internal/install/terminal"},
	"internal/install/fault":      {},
	"internal/install/terminal":   {"internal/constellation"},
	"internal/install/connection": {"internal/install/fault"},
	"internal/install/progress":   {"internal/install/terminal"},
	"internal/admin":              {"internal/auditstream", "internal/control", "internal/space", "internal/constellation", "internal/cron", "internal/httpserve", "internal/ratelimit", "web"},
	"internal/registry":           {"internal/control", "internal/space", "internal/constellation", "internal/httpserve", "internal/ratelimit", "internal/bundle", "internal/storage", "internal/systemimage", "internal/weights"},
	"internal/systemimage":        {"internal/constellation"},
	"internal/imagepush": {"internal/bundle", "internal/install/fault", "internal/install/progress", "internal/install/registry", "internal/install/store", "internal/install/transfer",
		"internal/systemimage"},
	"internal/storage": {"internal/tracing", "internal/constellation"},
	"internal/autotls": {"internal/outbound"},
	"internal/weights": {"internal/constellation"},

	"internal/foreign":  {"internal/tracing", "internal/constellation", "internal/outbound", "internal/retry"},
	"internal/importer": {"internal/constellation", "internal/control", "internal/foreign", "internal/jobs", "internal/outbound", "internal/registry", "internal/retry", "internal/space"},

	"internal/satellite/async": {"internal/constellation", "internal/retry", "internal/satellite/protocol", "internal/satellite/queue"},
	"internal/satellite/authn": {"internal/satellite/discovery", "internal/satellite/identity", "internal/satellite/keyring", "internal/satellite/protocol", "internal/satellite/routing"},
	"internal/satellite/batch": {"internal/satellite/async", "internal/satellite/jsonscan", "internal/satellite/protocol", "internal/satellite/queue"},
	"internal/satellite/call": {"internal/satellite/async", "internal/satellite/memory", "internal/satellite/pool", "internal/satellite/protocol",
		"internal/satellite/routing", "internal/satellite/telemetry", "internal/satellite/upstream"},
	"internal/satellite/callback":  {"internal/constellation", "internal/outbound", "internal/webhook", "internal/satellite/config", "internal/satellite/queue"},
	"internal/satellite/discovery": {"internal/kube/cluster/transport"},
	"internal/satellite/durable": {"internal/constellation", "internal/satellite/async", "internal/satellite/batch", "internal/satellite/callback", "internal/satellite/config", "internal/satellite/discovery",
		"internal/satellite/keyring", "internal/satellite/protocol", "internal/satellite/queue", "internal/satellite/routing", "internal/satellite/schedule"},
	"internal/satellite/eventloop": {},
	"internal/satellite/insight":   {"internal/satellite/call", "internal/satellite/protocol", "internal/satellite/routing", "internal/satellite/telemetry"},
	"internal/satellite/identity":  {"internal/constellation", "internal/outbound", "internal/satellite/config", "internal/satellite/keyring"},
	"internal/satellite/jsonscan":  {},
	"internal/satellite/keyring":   {"internal/constellation", "internal/satellite/config"},
	"internal/satellite/memory":    {},
	"internal/satellite/operate":   {},
	"internal/satellite/peer":      {"internal/satellite/pool"},
	"internal/satellite/peerloop":  {"internal/satellite/eventloop", "internal/satellite/peer"},
	"internal/satellite/pool":      {},
	"internal/satellite/probe":     {"internal/retry"},
	"internal/satellite/protocol":  {"internal/satellite/config", "internal/satellite/jsonscan", "internal/satellite/memory"},
	"internal/satellite/schedule":  {"internal/constellation", "internal/cron", "internal/satellite/queue"},
	"internal/satellite/scale":     {"internal/satellite/config", "internal/satellite/stats"},
	"internal/satellite/unpack":    {"internal/retry", "internal/weights"},
	"internal/satellite/upstream":  {"internal/satellite/eventloop", "internal/satellite/http1", "internal/satellite/memory", "internal/satellite/protocol"},
	"internal/satellite/upkeep": {"internal/apiv1", "internal/satellite/async", "internal/satellite/callback", "internal/satellite/durable", "internal/satellite/heartbeat", "internal/satellite/operate",
		"internal/satellite/queue", "internal/satellite/schedule"},
	"internal/satellite/routing":     {"internal/constellation", "internal/satellite/config", "internal/satellite/discovery", "internal/satellite/keyring", "internal/satellite/pool", "internal/satellite/protocol", "internal/satellite/telemetry"},
	"internal/satellite/passthrough": {"internal/satellite/upstream"},

	"internal/satellite/queue": {"internal/satellite/operate"}, // its node answers operators

	"internal/satellite/queue/credentials": {},
	"internal/satellite/queue/integrity":   {},
	"internal/satellite/queue/node":        {"internal/satellite/operate", "internal/satellite/queue/credentials", "internal/satellite/queue/integrity"},

	"internal/satellite/reload":    {"internal/satellite/config"},
	"internal/satellite/tlsserve":  {"internal/certificate", "internal/satellite/config"},
	"internal/satellite/telemetry": {"internal/tracing", "internal/satellite/jsonscan", "internal/satellite/memory", "internal/satellite/pool", "internal/satellite/protocol", "internal/satellite/stats"},
}

// stdlibOnly import nothing but the standard library.
var stdlibOnly = []string{"internal/constellation", "internal/apiv1", "internal/certificate", "internal/outbound", "internal/webhook"}

// serverFree reach none of server, at any distance.
var serverFree = []string{"internal/install", "internal/satellite", "internal/kube", "internal/client", "internal/bundle"}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func TestImportLaw(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			checkDirect(t, path, imported)
		}
		checkUnreached(t, path, p.Deps)
		if !under(path, serverFree) {
			continue
		}
		for _, dep := range p.Deps {
			if own, ok := strings.CutPrefix(dep, module); ok && under(own, server) {
				t.Errorf("%s reaches %s: the installer and the satellite stay free of the server", path, own)
			}
		}
	}
}

// rawCalls make raw system calls possible. Of the satellite, only the event
// loop, the runner, which is a program of its own, and the queue's node and who
// unpacks weights, which ask how full their disk is, may use them.
var (
	rawCalls     = []string{"syscall", "unsafe", "golang.org/x/sys/unix"}
	rawCallsFrom = []string{"internal/satellite/eventloop", "internal/satellite/queue/node", "internal/satellite/runner", "internal/satellite/unpack"}
)

func TestRawSystemCalls(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !under(path, []string{"internal/satellite"}) || under(path, rawCallsFrom) {
			continue
		}
		for _, imported := range p.Imports {
			if slices.Contains(rawCalls, imported) {
				t.Errorf("%s imports %s: only %v make raw system calls", path, imported, rawCallsFrom)
			}
		}
	}
}

func checkDirect(t *testing.T, path, imported string) {
	t.Helper()
	own, internal := strings.CutPrefix(imported, module)
	if !internal {
		if under(path, stdlibOnly) && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
			t.Errorf("%s imports %s: it may import the standard library only", path, imported)
		}
		return
	}
	for from, allowed := range joined(direct, kubeDirect) {
		if under(path, []string{from}) && !under(own, append(slices.Clone(allowed), from)) {
			t.Errorf("%s imports %s: it may import %v", path, own, allowed)
		}
	}
}

// under reports whether path is one of roots or below one.
func under(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return path == root || strings.HasPrefix(path, root+"/")
	})
}

func list(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 5 {
		t.Fatalf("go list gave %d packages, want the whole module", len(packages))
	}
	return packages
}
