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
var server = []string{"internal/postgres", "internal/control", "web", "internal/api", "internal/admin", "internal/registry"}

// direct says which packages of this module a package, and those below it,
// may import; what is not named here has no such rule.
var direct = map[string][]string{
	"internal/constellation": {},
	"internal/apiv1":         {},
	"internal/auth":          {"internal/constellation"},
	"internal/bundle":        {"internal/constellation"},
	"internal/client":        {"internal/apiv1"},
	"web":                    {"internal/constellation"},
	"internal/postgres":      {"internal/constellation", "migrations"},
	"internal/control":       {"internal/constellation", "internal/postgres", "internal/bundle", "internal/auth"},
	"internal/api":           {"internal/control", "internal/constellation", "internal/apiv1", "internal/httpserve", "internal/bundle", "web"},
	"internal/admin":         {"internal/control", "internal/constellation", "internal/httpserve", "web"},
	"internal/registry":      {"internal/control", "internal/constellation", "internal/httpserve", "internal/bundle"},
}

// stdlibOnly import nothing but the standard library.
var stdlibOnly = []string{"internal/constellation", "internal/apiv1"}

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

func checkDirect(t *testing.T, path, imported string) {
	t.Helper()
	own, internal := strings.CutPrefix(imported, module)
	if !internal {
		if under(path, stdlibOnly) && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
			t.Errorf("%s imports %s: it may import the standard library only", path, imported)
		}
		return
	}
	for from, allowed := range direct {
		if under(path, []string{from}) && !under(own, append(slices.Clone(allowed), from)) {
			t.Errorf("%s imports %s: it may import %v", path, own, allowed)
		}
	}
}

// under says whether path is one of roots or below one.
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
