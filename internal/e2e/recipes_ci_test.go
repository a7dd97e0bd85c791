package e2e

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/stack"
)

// ci is what a CI has: an account, variables and secrets, and programs.
type ci struct {
	*guide
	key        string // of the account ci
	keyID      string // of the mothership's signing key
	bin        string // what is installed
	calls      string // file of docker's
	base, prod string // files of the launch
	here       *strings.Replacer
	kubeconfig string // text
}

func (g *guide) newCI(t *testing.T, base, prod string) *ci {
	t.Helper()
	c := &ci{guide: g, bin: t.TempDir(), calls: filepath.Join(t.TempDir(), "calls")}
	administer := func(stdin string, args ...string) string {
		t.Helper()
		out, err := g.Mothership.Administer(t.Context(), stdin, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	administer("correct horse battery staple\n", "account", "create", "ci", "--role", "operator", "--password-stdin")
	c.key = administer("", "api-key", "create", "--account", "ci", "--role", "operator")
	c.keyID = regexp.MustCompile(`[0-9a-f]{16}`).FindString(administer("", "signing-key"))
	if err := os.WriteFile(filepath.Join(c.bin, "docker"), []byte(dockerStandIn), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	kubeconfig, err := os.ReadFile(g.Cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	c.kubeconfig = string(kubeconfig)
	c.here = strings.NewReplacer("{{url}}", g.Mothership.URL, "{{host}}", g.Mothership.Host, "{{version}}", g.version(t),
		"/usr/local/bin/", c.bin+"/", `"${REGISTRY%%/*}" --username ci`, `"${REGISTRY%%/*}" --username `+g.Customer.Username)
	// As the launch is configured that runs: a recipe that says the same changes nothing.
	c.base = strings.NewReplacer("container_registry: ${REGISTRY}\n", "container_registry: ${REGISTRY}\n  registry: {insecure: true}\n", "provider: none", "provider: nginx").Replace(base)
	c.prod = strings.NewReplacer("namespace: algorithms", "namespace: "+namespace, `heartbeat: "off"`, "fqdn: "+g.Mothership.Host).Replace(prod)
	return c
}

// dockerStandIn is what a machine without Docker has in its place: it keeps logins
// as docker does, notes what it is asked for, which logins looks at later, and has
// one file in its containers.
const dockerStandIn = `#!/bin/sh
set -eu
case $1 in
login)
	read -r password
	printf 'login %s %s %s\n' "$2" "$4" "$password" >>"$DOCKER_CALLS"
	dir=${DOCKER_CONFIG:-$HOME/.docker}
	mkdir -p "$dir"
	printf '"%s":{"auth":"%s"}\n' "$2" "$(printf '%s:%s' "$4" "$password" | base64 -w0)" >>"$dir/logins"
	printf '{"auths":{%s}}' "$(paste -sd, "$dir/logins")" >"$dir/config.json" ;;
create)
	printf 'create %s\n' "$2" >>"$DOCKER_CALLS"
	echo container ;;
cp)
	[ "$2" = container:/usr/bin/mothership ]
	cp "$MOTHERSHIP_PROGRAM" "$3" ;;
esac
`

// workspace is a checkout of the launch's files.
func (c *ci) workspace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "launches"), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"base.yaml": c.base, "prod.yaml": c.prod} {
		if err := os.WriteFile(filepath.Join(dir, "launches", file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shell runs a script with nothing in its environment but what a CI gives it.
func (c *ci) shell(t *testing.T, workspace string, env map[string]string, script string, shell ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), shell[0], append(shell[1:], script)...) //nolint:gosec // the guide's own text
	cmd.Dir = workspace
	cmd.Env = []string{"PATH=" + c.bin + ":" + os.Getenv("PATH"), "HOME=" + workspace,
		"DOCKER_CALLS=" + c.calls, "MOTHERSHIP_PROGRAM=" + filepath.Join(c.Bin, "mothership")}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s\n%v:\n%s", script, err, out)
	}
}

// logins looks whether registries let in who logged in, and have what was asked for.
func (c *ci) logins(t *testing.T) {
	data, err := os.ReadFile(c.calls)
	if err != nil {
		t.Fatal(err)
	}
	logins := 0
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if words[0] == "create" {
			if err := c.hasProgram(words[1]); err != nil {
				t.Errorf("docker create %s: %v", words[1], err)
			}
			continue
		}
		logins++
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+words[1]+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(words[2], words[3])
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = answer.Body.Close(); answer.StatusCode != http.StatusOK {
			t.Errorf("docker login %s of %s is answered with %s", words[1], words[2], answer.Status)
		}
	}
	if logins != 4 {
		t.Errorf("docker was logged in %d times, want twice in two recipes", logins)
	}
}

// hasProgram reads an image of the mothership, as who runs in CI.
func (c *ci) hasProgram(image string) error {
	ref, err := name.ParseReference(image, name.Insecure)
	if err != nil {
		return err
	}
	img, err := remote.Image(ref, remote.WithAuth(&authn.Basic{Username: "ci", Password: c.key}))
	if err != nil {
		return err
	}
	content := mutate.Extract(img)
	defer content.Close() //nolint:errcheck // it was read
	for files := tar.NewReader(content); ; {
		file, err := files.Next()
		if err != nil {
			return fmt.Errorf("it has no /usr/bin/mothership: %w", err)
		}
		if strings.Trim(file.Name, "./") == "usr/bin/mothership" && file.Size > 1<<20 {
			return nil
		}
	}
}

// version is the mothership's, as the tag of its system image.
func (g *guide) version(t *testing.T) string {
	t.Helper()
	out, err := stack.Command{Args: []string{filepath.Join(g.Bin, "mothership"), "version", "-o", "json"}}.Run(t.Context())
	var said struct{ Version string }
	if err == nil {
		err = json.Unmarshal([]byte(out), &said)
	}
	if err != nil {
		t.Fatal(err)
	}
	return constellation.ImageTag(said.Version)
}

// codeBlock is one that a page shows, and what it says it is.
type codeBlock struct{ language, text string }

func codeBlocks(page string) []codeBlock {
	var all []codeBlock
	for i, block := range strings.Split(page, "\n```") {
		if i%2 == 1 { // else between blocks
			language, text, _ := strings.Cut(block, "\n")
			all = append(all, codeBlock{language, text + "\n"})
		}
	}
	return all
}

// blocks are those of a page of the guide.
func (g *guide) blocks(t *testing.T, file string) []codeBlock {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(g.root, "web/docs/guide", file))
	if err != nil {
		t.Fatal(err)
	}
	return codeBlocks(string(data))
}
