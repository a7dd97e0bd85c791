package kubeconfig_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/kube/kubeconfig"
)

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// oneUser writes a kubeconfig with one context, for a user of these fields.
func oneUser(t *testing.T, dir, name, cluster, user string) string {
	t.Helper()
	return write(t, filepath.Join(dir, name), `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {`+cluster+`}}]
users: [{name: u, user: {`+user+`}}]
`, 0o600)
}

const execPlugin = `exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: `

func TestFiles(t *testing.T) {
	t.Parallel()
	sep := string(filepath.ListSeparator)
	for path, want := range map[string][]string{
		"a":                   {"a"},
		"a" + sep + "b":       {"a", "b"},
		"a" + sep + sep + "b": {"a" + sep + sep + "b"},
	} {
		if got := kubeconfig.Files(path); !slices.Equal(got, want) {
			t.Errorf("Files(%q) = %q, want %q", path, got, want)
		}
	}
}

// What cannot work is told before anything is asked, with what to do.
func TestCheckOfWhatCannotWork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const away = `server: "https://127.0.0.1:1"`
	write(t, filepath.Join(dir, "closed"), "", 0o600)
	for _, test := range []struct {
		name, path string
		says       []string
	}{
		{"gcp", oneUser(t, dir, "gcp", away, "auth-provider: {name: gcp}"), []string{`user "u"`, `auth-provider "gcp"`, "gke-gcloud-auth-plugin", "get-credentials"}},
		{"azure", oneUser(t, dir, "azure", away, "auth-provider: {name: azure}"), []string{`auth-provider "azure"`, "kubelogin convert-kubeconfig"}},
		{"oidc", oneUser(t, dir, "oidc", away, "auth-provider: {name: oidc}"), []string{`auth-provider "oidc"`, "oidc-login"}},
		{"another", oneUser(t, dir, "another", away, "auth-provider: {name: tencent}"), []string{`auth-provider "tencent"`, "a user with 'exec', a token or a certificate"}},
		{"no user", write(t, filepath.Join(dir, "no-user"), "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: k, user: gone}}]\nclusters: [{name: k, cluster: {"+away+"}}]\nusers: [{name: u, user: {token: x}}]\n", 0o600),
			[]string{`context "c"`, `user "gone", which is not there`, "it has u"}},
		{"no cluster", write(t, filepath.Join(dir, "no-cluster"), "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: gone, user: u}}]\nusers: [{name: u, user: {token: x}}]\n", 0o600),
			[]string{`cluster "gone", which is not there`}},
		{"no plugin", oneUser(t, dir, "no-plugin", away, execPlugin+"./nothing}"), []string{filepath.Join(dir, "nothing"), "not installed"}},
		{"closed plugin", oneUser(t, dir, "closed-plugin", away, execPlugin+"./closed}"), []string{"may not be executed"}},
		{"no key", oneUser(t, dir, "no-key", away, "client-certificate: pki/none.crt, client-key: pki/none.key"), []string{filepath.Join(dir, "pki", "none.crt")}},
		{"no files", filepath.Join(dir, "x") + string(filepath.ListSeparator) + filepath.Join(dir, "y"), []string{"there is no file"}},
	} {
		err := kubeconfig.Check(test.path, "")
		if !errors.Is(err, kubeconfig.ErrUnusable) {
			t.Errorf("%s: %v, want an ErrUnusable", test.name, err)
			continue
		}
		for _, text := range append(test.says, "") {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q does not say %q", test.name, err, text)
			}
		}
	}
}
