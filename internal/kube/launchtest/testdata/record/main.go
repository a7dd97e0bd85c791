// Command record writes what Kubernetes API servers of given releases answer
// on /version and /apis, as those releases' own sources say it:
//
//	go run ./internal/kube/launchtest/testdata/record v1.18.20 v1.19.16 …
//
// Old API servers do not compile from their Go modules any more, but the
// modules still hold api/openapi-spec/swagger.json, which the release process
// recorded from a running server with every API on, and the list of the API
// versions that are on by default. Their intersection is what a server serves.
// TestDiscoveryIsWhatServersServe compares the method's result with servers
// that do run.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiversion "k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apimachinery/pkg/version"
)

func main() {
	for _, release := range os.Args[1:] {
		if err := record(release); err != nil {
			fmt.Fprintf(os.Stderr, "record %s: %v\n", release, err)
			os.Exit(1)
		}
	}
}

// document is a file of testdata.
type document struct {
	Version version.Info        `json:"version"`
	APIs    metav1.APIGroupList `json:"apis"`
}

func record(release string) error {
	v, err := apiversion.ParseSemantic(release)
	if err != nil {
		return fmt.Errorf("parse the version: %w", err)
	}
	dir, err := download(release)
	if err != nil {
		return err
	}
	recorded, err := recordedVersions(filepath.Join(dir, "api/openapi-spec/swagger.json"))
	if err != nil {
		return err
	}
	enabled, err := enabledVersions(dir)
	if err != nil {
		return err
	}
	d := document{
		Version: version.Info{Major: "1", Minor: strconv.Itoa(int(v.Minor())), GitVersion: release, Platform: "linux/amd64"},
		APIs:    metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: groups(recorded, enabled)},
	}
	data, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	file := filepath.Join("internal/kube/launchtest/testdata", fmt.Sprintf("1.%d.json", v.Minor()))
	return os.WriteFile(file, append(data, '\n'), 0o600)
}

// download returns the folder of the release's sources.
func download(release string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", "k8s.io/kubernetes@"+release) //nolint:gosec // the developer's own argument
	cmd.Dir = os.TempDir()                                                              // outside of our module: nothing of it changes
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); jsonErr != nil || answer.Dir == "" {
		return "", fmt.Errorf("download: %s %w", answer.Error, errors.Join(err, jsonErr))
	}
	return answer.Dir, nil
}

var versionPath = regexp.MustCompile(`^/apis/([^/{}]+)/([^/{}]+)/$`)

// recordedVersions returns the versions of each group that the recorded server served.
func recordedVersions(swagger string) (map[string][]string, error) {
	data, err := os.ReadFile(swagger) //nolint:gosec // a file of the release
	if err != nil {
		return nil, fmt.Errorf("read the recorded API: %w", err)
	}
	var spec struct{ Paths map[string]json.RawMessage }
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, fmt.Errorf("read the recorded API: %w", err)
	}
	versions := map[string][]string{}
	for p := range spec.Paths {
		if m := versionPath.FindStringSubmatch(p); m != nil {
			versions[m[1]] = append(versions[m[1]], m[2])
		}
	}
	return versions, nil
}

// enabledVersions returns FOLDER/VERSION, as below k8s.io/api, for each API version that
// is on by default.
func enabledVersions(dir string) (map[string]bool, error) {
	source := filepath.Join(dir, "pkg/controlplane/instance.go")
	if _, err := os.Stat(source); err != nil {
		source = filepath.Join(dir, "pkg/master/master.go") // until 1.19
	}
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("read the API versions that are on: %w", err)
	}
	imports := map[string]string{}
	for _, spec := range file.Imports {
		if spec.Name != nil {
			from := strings.Trim(spec.Path.Value, `"`) // k8s.io/api/GROUP/VERSION or k8s.io/kubernetes/pkg/apis/GROUP/VERSION
			imports[spec.Name.Name] = path.Join(path.Base(path.Dir(from)), path.Base(from))
		}
	}
	enabled := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr: // ret.EnableVersions(…), until 1.23
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "EnableVersions" {
				collect(n, imports, enabled)
			}
		case *ast.ValueSpec: // since 1.24
			if strings.Contains(n.Names[0].Name, "EnabledByDefault") {
				collect(n, imports, enabled)
			}
		}
		return true
	})
	if len(enabled) == 0 {
		return nil, fmt.Errorf("%s names no API version that is on", source)
	}
	return enabled, nil
}

// collect adds every PACKAGE.SchemeGroupVersion below a node.
func collect(n ast.Node, imports map[string]string, enabled map[string]bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "SchemeGroupVersion" {
			if pkg, ok := s.X.(*ast.Ident); ok {
				enabled[imports[pkg.Name]] = true
			}
		}
		return true
	})
}

// groups returns what is recorded and enabled, newest version first. The two
// groups of the API server's own parts are not in the list of the defaults,
// but their stable versions, and in old servers the betas, are always on.
func groups(recorded map[string][]string, enabled map[string]bool) []metav1.APIGroup {
	var list []metav1.APIGroup
	for _, name := range slices.Sorted(maps.Keys(recorded)) {
		folder, _, _ := strings.Cut(name, ".")
		always := name == "apiregistration.k8s.io" || name == "apiextensions.k8s.io"
		group := metav1.APIGroup{Name: name}
		versions := recorded[name]
		slices.SortFunc(versions, func(a, b string) int { return -version.CompareKubeAwareVersionStrings(a, b) })
		for _, v := range versions {
			if always && !strings.Contains(v, "alpha") || enabled[path.Join(folder, v)] {
				group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: name + "/" + v, Version: v})
			}
		}
		if len(group.Versions) > 0 {
			group.PreferredVersion = group.Versions[0]
			list = append(list, group)
		}
	}
	return list
}
