package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/stack"
)

// elsewhere are programs of others that README and guide show. They need a
// cloud, a Docker daemon or a cluster that is not here.
var elsewhere = []string{"az", "aws", "gcloud", "oc", "kubectl", "sudo", "docker", "oras", "KUBECONFIG=gke.conf", "websocat", "helm"}

// asWritten runs every command of ours that README and guide show, as it
// stands there with its placeholders filled in, against what is running, and
// asks for every path of the API that they name.
func (j *journey) asWritten(t *testing.T) {
	g := j.newGuide(t)
	if seen := g.runAll(t, func(file string) bool { return file != ofServices && file != ofReleases }); seen < 40 {
		t.Errorf("only %d commands were found in README and guide", seen)
	}
	g.paths(t)
	g.recipes(t)
}

const (
	// ofServices is the guide's page whose commands call the samples that TestPipe
	// deploys.
	ofServices = "20-http-algorithms.md"
	// ofReleases is a page that is one script, which internal/api's tests run.
	ofReleases = "25-releases-from-ci.md"
)

// servicesAsWritten is asWritten for that page.
func (j *journey) servicesAsWritten(t *testing.T) {
	g := j.newGuide(t)
	if seen := g.runAll(t, func(file string) bool { return file == ofServices }); seen < 5 {
		t.Errorf("only %d commands were found in %s", seen, ofServices)
	}
}

// runAll runs each command of the files that are wanted once, and returns how
// many there were.
func (g *guide) runAll(t *testing.T, wanted func(file string) bool) int {
	t.Helper()
	seen := map[string]bool{}
	for _, line := range g.commands(t) {
		if seen[line.text] || !wanted(line.file) {
			continue
		}
		seen[line.text] = true
		if err := g.run(t, line.text); err != nil {
			t.Errorf("%s shows a command that does not work:\n  %s\n%v", line.file, line.text, err)
		}
	}
	return len(seen)
}

// guide runs what README and guide show.
type guide struct {
	*journey
	root    string // of the source tree
	scratch string // a folder for what the commands write
	values  *strings.Replacer
	apiKey  string
}

func (j *journey) newGuide(t *testing.T) *guide {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	g := &guide{journey: j, root: root, scratch: t.TempDir()}
	for _, folder := range []string{"media/disk", "media/usb", "work", "imported", "configured"} {
		if err := os.MkdirAll(filepath.Join(g.scratch, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"media/disk", "configured"} {
		if err := os.CopyFS(filepath.Join(g.scratch, folder), os.DirFS(j.DeploymentDir())); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(g.scratch, folder, "current", "satellite", j.satelliteID, j.launchID, "config.yaml")); err != nil {
			t.Fatal(err) // which would count only here, and in its place
		}
	}
	if err := os.WriteFile(filepath.Join(g.scratch, "in.jsonl"), []byte("\"Neo\"\n{\"custom_id\":\"t\",\"body\":\"Trinity\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var cat bytes.Buffer
	if err := png.Encode(&cat, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.scratch, "cat.png"), cat.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	keyID, err := j.Mothership.Administer(t.Context(), "", "signing-key")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := j.Cluster.Kubeconfig
	g.values = strings.NewReplacer(
		"{{url}}", j.Mothership.URL, "{{host}}", j.Mothership.Host, "{{fqdn}}", j.Mothership.Host,
		"https://constellation.example.com", j.Mothership.URL, "constellation.example.com", j.Mothership.Host,
		"https://CLUSTER_DOMAIN", j.Cluster.IngressURL, "fraud/score", "demo/hello", "text/classify", "demo/hello", "fraud/chat", "samples/chat", "fraud/iris", "samples/iris", "fraud/picture", "samples/picture", "cat.png", filepath.Join(g.scratch, "cat.png"),
		"SATELLITE_ID", j.satelliteID, "LAUNCH_ID", j.launchID, "KEY_ID", regexp.MustCompile(`[0-9a-f]{16}`).FindString(keyID),
		"in.jsonl", filepath.Join(g.scratch, "in.jsonl"), "$CALLER_KEY", j.key, "$(git rev-parse HEAD)", stack.HashA,
		"/v1/algorithms/demo/hello", "/v1/algorithms/neo/hello",
		"file:///var/lib/constellation/registry", "file://"+filepath.Join(j.Mothership.DataDir, "registry"), "file:///mnt/images", "file://"+filepath.Join(g.scratch, "images"),
		"/mnt/backups", filepath.Join(g.scratch, "kept"), "/backups", filepath.Join(g.scratch, "media/usb"), "/media/usb", filepath.Join(g.scratch, "media/usb"), "/media/disk", filepath.Join(g.scratch, "media/disk"), "~/work", filepath.Join(g.scratch, "work"),
		"$HOME/.kube/config", kubeconfig, "/home/algo/cust8s.conf", kubeconfig,
		"aks.conf", kubeconfig, "eks.conf", kubeconfig, "gke.conf", kubeconfig, "openshift.conf", kubeconfig, "k3s.conf", kubeconfig,
		"KEY=VALUE…", "stage.heartbeat=on", " …", " "+strings.Join(j.Configure(namespace), " "),
		"REGION-docker", "region-docker", "/PROJECT/", "/project/", "quay.io/ORGANISATION", "quay.io/organisation",
	)
	return g
}

// shown is a command line and the file that shows it.
type shown struct{ file, text string }

// commands are the command lines of README and guide, in their order.
func (g *guide) commands(t *testing.T) []shown {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(g.root, "web/docs/guide/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var all []shown
	for _, file := range append([]string{filepath.Join(g.root, "README.md")}, files...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range codeBlocks(string(data)) {
			if block.language == "yaml" || block.language == "groovy" || block.language == "nginx" || block.language == "go" || block.language == "http" { // recipes, and the engine's tests, run what these have
				continue
			}
			for _, text := range commandLines(block.text) {
				all = append(all, shown{filepath.Base(file), text})
			}
		}
	}
	return all
}

var comment = regexp.MustCompile(`\s+# .*$|\s+#$`)

// commandLines are the command lines of a block of code; none where it shows
// a file or an answer.
func commandLines(block string) []string {
	first := strings.TrimSpace(block)
	for _, start := range []string{"# systemctl edit", "apiVersion:", "FROM ", "{", "configs:", "stage:", "# Kubernetes", "- apiGroups:", "from ", "import "} {
		if strings.HasPrefix(first, start) {
			return nil
		}
	}
	var lines []string
	for text := range strings.Lines(strings.ReplaceAll(block, "\\\n", " ")) {
		text = strings.Join(strings.Fields(comment.ReplaceAllString(strings.TrimRight(text, "\n"), "")), " ")
		if text != "" && !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "#") {
			lines = append(lines, text)
		}
	}
	return lines
}

// run runs a command line as far as it is ours.
func (g *guide) run(t *testing.T, line string) error {
	line, redo, _ := strings.Cut(line, " || ") // what else is done where it fails
	if redo != "" && !slices.Contains(elsewhere, strings.Fields(redo)[0]) {
		return fmt.Errorf("%q is not known here", redo)
	}
	if slices.Contains(elsewhere, strings.Fields(line)[0]) {
		return nil
	}
	words, err := split(g.values.Replace(line))
	if err != nil {
		return err
	}
	if words[0] == "export" { // NAME=VALUE, or of a command
		inner, ok := strings.CutPrefix(strings.Join(words[1:], " "), "API_KEY=$(")
		if !ok {
			return nil
		}
		if words, err = split(strings.TrimSuffix(inner, ")")); err != nil {
			return err
		}
	}
	switch program := strings.TrimPrefix(words[0], "bin/"); {
	case program == "make":
		return g.makes(words[1:])
	case program == "mothership":
		return g.administers(t, words[1:])
	case program == "algo-install":
		return g.installs(t, words[1:])
	case program == "curl":
		return g.asks(t, words[1:])
	case program == "echo" && slices.Contains(words, "docker"):
		return g.logsIn(t, words)
	}
	return fmt.Errorf("%q is neither ours nor a known program of others", words[0])
}

// split splits a line as a shell does, as far as README and guide need it.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	quote := rune(0)
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote = r
		case quote == 0 && r == ' ':
			words, word = append(words, word.String()), strings.Builder{}
		default:
			word.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote is not closed")
	}
	return append(words, word.String()), nil
}

// makes looks for targets in the Makefile.
func (g *guide) makes(targets []string) error {
	data, err := os.ReadFile(filepath.Join(g.root, "Makefile"))
	if err != nil {
		return err
	}
	for _, target := range targets {
		if !strings.Contains(string(data), "\n"+target+": ") {
			return fmt.Errorf("the Makefile has no target %s", target)
		}
	}
	return nil
}

// administers runs a command of the mothership beside the one that serves.
func (g *guide) administers(t *testing.T, words []string) error {
	if words[0] == "serve" { // it serves already; are these its flags?
		help, err := stack.Command{Args: []string{filepath.Join(g.Bin, "mothership"), "serve", "--help"}}.Run(t.Context())
		for _, word := range words[1:] {
			if strings.HasPrefix(word, "--") && !strings.Contains(help, word+" ") {
				return fmt.Errorf("serve has no flag %s", word)
			}
		}
		return err
	}
	if words[0] == "storage" && words[1] == "copy" || words[0] == "backup" && !strings.HasPrefix(words[1], "/") { // whatever the data dir
		_, err := stack.Command{Args: append([]string{filepath.Join(g.Bin, "mothership")}, words...)}.Run(t.Context())
		return err
	}
	if words[0] == "image" {
		_, err := stack.Command{Args: []string{filepath.Join(g.Bin, "mothership"), words[0], words[1], g.Registry + "/mothership", "--insecure"}, Env: g.OperatorEnv()}.Run(t.Context())
		return err
	}
	out, err := g.Mothership.Administer(t.Context(), "correct horse battery staple\n", words...)
	if err == nil && words[0] == "api-key" {
		if g.apiKey = out; !strings.HasPrefix(out, "cst_") {
			return fmt.Errorf("it prints %q, want a key alone", out)
		}
	}
	return err
}

// installs runs a command of the installer: what sets something in a copy of
// the deployment folder, what imports in an empty one, the rest in the one
// that is deployed.
func (g *guide) installs(t *testing.T, words []string) error {
	stdin := g.AdminKey
	if i := slices.Index(words, "<<<"); i >= 0 {
		if words[i+1] != "$API_KEY" {
			return fmt.Errorf("%s is no key of the steps before", words[i+1])
		}
		words, stdin = words[:i], g.apiKey
	}
	folder := g.DeploymentDir()
	switch {
	case slices.Contains(words, "--secret"):
		return g.keepsSecret(t, words[:slices.Index(words, "<")])
	case slices.Contains(words, "configure"):
		folder = filepath.Join(g.scratch, "configured")
		words = append(words, "--no-check") // their registries and files are not here
	case slices.Contains(words, "deploy") && slices.Contains(words, "--work-dir"):
		words = append(words, "--dry-run") // with another configuration than the one that runs
	case slices.Contains(words, "import"):
		folder = filepath.Join(g.scratch, "imported")
	case slices.Contains(words, "call"):
		i := slices.Index(words, ">")
		words = words[:i:i] // the command above writes no file here
	case slices.Contains(words, "restore"), slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(word, "req-") }):
		words = append(words, "--help") // there is no such call, and nothing to restore
	}
	_, err := stack.Command{
		Args:  append([]string{filepath.Join(g.Bin, "algo-install")}, words...),
		Env:   append(g.OperatorEnv(), "ALGO_API_KEY="+g.key, "ALGO_DEPLOYMENT_DIR="+folder, "XDG_CONFIG_HOME="+filepath.Join(g.scratch, "config"), "HOME="+g.scratch),
		Stdin: stdin + "\n",
	}.Run(t.Context())
	if err != nil && slices.Contains(words, "queue") && (strings.Contains(err.Error(), "this satellite has no queue") ||
		strings.Contains(err.Error(), "nothing is to be rescued: 3 of 3 nodes")) {
		return nil // it was understood, and got as far as the engine, or the nodes
	}
	return err
}

var (
	apiPath    = regexp.MustCompile("(GET|POST|PUT|PATCH|DELETE)? ?`?(/v1/[A-Za-z_/*]*)")
	enginePath = regexp.MustCompile(`^/v1/(algo|web/algo|status|insights|async|batch)`)
)

// paths asks for each path of the API that README and guide name.
func (g *guide) paths(t *testing.T) {
	document, err := http.Get(g.Mothership.URL + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer document.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(document.Body)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(g.root, "web/docs/guide/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(g.root, "README.md")) {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			for _, m := range apiPath.FindAllStringSubmatch(lines.Text(), -1) {
				path := strings.TrimSuffix(m[2], "/")
				if enginePath.MatchString(path) {
					continue
				}
				first := strings.Join(strings.SplitN(path, "/", 4)[:3], "/")
				if !strings.Contains(string(text), `"`+first) {
					t.Errorf("%s names %s, which the API does not have", filepath.Base(file), m[0])
				}
			}
		}
		_ = f.Close()
	}
}
