package api

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// said is what each client of TestGeneratedClients prints.
const said = `launch new never_seen etag "1" report false running false seen false
key billing true rate false expires false of 0
satellites 1 Edge foo/bar more true
keys 1 more false
algorithm hello semantic version false
not found: 1000 not_found
conflict: 1002 name_taken name
`

// contentTags are the entity tags of a launch at its first revision.
var contentTags = regexp.MustCompile(`"1\.[0-9a-f]{16}"`)

// TestGeneratedClients makes clients from the document that a server publishes
// with the generators that people use, compiles them, and lets each use the
// server: it reads a launch that never reported, makes a key, lists, and is
// refused twice. The Go programs are text here, since they do not compile
// without what is generated.
func TestGeneratedClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	document := w.call("", "GET", "/openapi.json", "")
	document.want(t, http.StatusOK)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/clients")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), document.body, 0o600); err != nil {
		t.Fatal(err)
	}
	w.satellite("Edge")
	for _, generator := range []struct {
		name     string
		commands []string
	}{
		{"ogen", []string{
			"mv ogen/main.go.txt ogen/main.go",
			"go tool ogen -target ogenapi -package ogenapi openapi.json",
			"go build -o ogen/client ./ogen",
			"ogen/client ADDRESS KEY SATELLITE",
		}},
		{"oapi-codegen", []string{
			"mv oapi/main.go.txt oapi/main.go",
			"mkdir oapiapi",
			"go tool oapi-codegen -config oapi/config.yaml openapi.json",
			"go build -o oapi/client ./oapi",
			"oapi/client ADDRESS KEY SATELLITE",
		}},
		{"openapi-typescript", []string{
			"npm --prefix typescript ci --ignore-scripts --no-audit --no-fund --loglevel=error",
			"node typescript/node_modules/openapi-typescript/bin/cli.js openapi.json -o typescript/api.d.ts",
			"node typescript/node_modules/typescript/bin/tsc -p typescript",
			"node typescript/main.js ADDRESS KEY SATELLITE",
		}},
	} {
		satellite := strings.TrimPrefix(w.satellite(generator.name), "/v1/satellites/")
		t.Run(generator.name, func(t *testing.T) {
			t.Parallel()
			arguments := strings.NewReplacer("ADDRESS", w.server.URL, "KEY", w.admin, "SATELLITE", satellite)
			var got string
			for _, command := range generator.commands {
				got = program(t, dir, strings.Fields(arguments.Replace(command)))
			}
			if got = contentTags.ReplaceAllString(got, `"1"`); got != said {
				t.Errorf("the client says\n%s\nwant\n%s", got, said)
			}
		})
	}
}

// program runs a command in dir and returns what it prints.
func program(t *testing.T, dir string, words []string) string {
	t.Helper()
	if local := filepath.Join(dir, words[0]); strings.Contains(words[0], "/") {
		words[0] = local
	}
	command := exec.CommandContext(t.Context(), words[0], words[1:]...)
	command.Dir = dir
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(words[:min(3, len(words))], " "), err, out, stderr.Bytes())
	}
	return string(out)
}
