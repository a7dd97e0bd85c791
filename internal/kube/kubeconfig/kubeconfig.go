package kubeconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ErrUnusable is wrapped by every error of a kubeconfig that cannot be used.
var ErrUnusable = errors.New("the kubeconfig cannot be used")

// ErrPlugin is an ErrUnusable that another machine may not have: the
// credential plugin is not installed.
var ErrPlugin = fmt.Errorf("%w", ErrUnusable)

// Files returns the files of a path, which may be a list as that of the
// environment's KUBECONFIG. One with nothing between two separators is the name
// of one file.
func Files(path string) []string {
	if separator := string(filepath.ListSeparator); strings.Contains(path, separator+separator) {
		return []string{path}
	}
	return filepath.SplitList(path)
}

// Check reads a kubeconfig and finds the context, "" being the file's current one.
func Check(path, context string) error {
	_, err := Load(path, context)
	return err
}

// CurrentContext returns the context that a kubeconfig itself chooses.
func CurrentContext(path string) (string, error) {
	file, err := read(path)
	if err != nil {
		return "", err
	}
	return file.CurrentContext, nil
}

// Server returns the address of a context's API server, without asking
// it or looking for credentials.
func Server(path, context string) (string, error) {
	file, err := read(path)
	if err != nil {
		return "", err
	}
	if context == "" {
		context = file.CurrentContext
	}
	if c := file.Contexts[context]; c != nil && file.Clusters[c.Cluster] != nil {
		return file.Clusters[c.Cluster].Server, nil
	}
	return "", fmt.Errorf("kubeconfig %s has no context %q with a cluster: %w", path, context, ErrUnusable)
}

// read merges the files of a path as kubectl does: what a file names
// relatively, a certificate, a key, a token or a plugin, is beside that file.
func read(path string) (*clientcmdapi.Config, error) {
	files := Files(path)
	var there []string
	for _, file := range files {
		if _, err := os.Stat(file); err == nil || !errors.Is(err, fs.ErrNotExist) {
			there = append(there, file)
		}
	}
	if len(there) == 0 {
		return nil, fmt.Errorf("there is no file %s: %w", path, ErrUnusable)
	}
	config, err := (&clientcmd.ClientConfigLoadingRules{Precedence: there}).Load()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w: %w", path, err, ErrUnusable)
	}
	if len(config.Contexts) == 0 {
		return nil, fmt.Errorf("%s has no contexts, so it is no kubeconfig: %w", path, ErrUnusable)
	}
	return config, nil
}

// Load returns how to connect to the cluster of a context, "" being the file's
// current one.
func Load(path, context string) (*rest.Config, error) {
	file, err := read(path)
	if err != nil {
		return nil, err
	}
	name := context
	if name == "" {
		name = file.CurrentContext
	}
	if name == "" {
		return nil, fmt.Errorf("kubeconfig %s names no current context; set stage.kubernetes.context to one of %s: %w", path, keyList(file.Contexts), ErrUnusable)
	}
	chosen, ok := file.Contexts[name]
	if !ok {
		return nil, fmt.Errorf("kubeconfig %s has no context %q; it has %s: %w", path, name, keyList(file.Contexts), ErrUnusable)
	}
	if _, ok := file.Clusters[chosen.Cluster]; !ok {
		return nil, fmt.Errorf("context %q of kubeconfig %s is of cluster %q, which is not there; it has %s: %w", name, path, chosen.Cluster, keyList(file.Clusters), ErrUnusable)
	}
	if err := checkUser(path, name, chosen.AuthInfo, file.AuthInfos); err != nil {
		return nil, err
	}
	config, err := clientcmd.NewNonInteractiveClientConfig(*file, name, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("use context %q of kubeconfig %s: %w: %w", name, path, err, ErrUnusable)
	}
	return config, nil
}

// checkUser finds what is wrong with a context's user before a request fails
// for it: client-go takes one that is not there for nobody.
func checkUser(path, context, name string, users map[string]*clientcmdapi.AuthInfo) error {
	user, ok := users[name]
	switch {
	case name == "":
		return nil // nobody: a proxy may log in
	case !ok:
		return fmt.Errorf("context %q of kubeconfig %s is for user %q, which is not there; it has %s: %w", context, path, name, keyList(users), ErrUnusable)
	case user.AuthProvider != nil:
		return fmt.Errorf("user %q of kubeconfig %s logs in with auth-provider %q, which Kubernetes gave up; %s: %w",
			name, path, user.AuthProvider.Name, insteadOf(user.AuthProvider.Name), ErrUnusable)
	}
	return checkPlugin(path, user)
}

// insteadOf says what to use in place of an auth-provider.
func insteadOf(provider string) string {
	switch provider {
	case "gcp":
		return "install gke-gcloud-auth-plugin and run 'gcloud container clusters get-credentials CLUSTER', which writes a user with 'exec'"
	case "azure":
		return "run 'kubelogin convert-kubeconfig', which writes a user with 'exec'"
	case "oidc":
		return "install kubelogin and set the user up with 'exec' ('kubectl oidc-login setup' prints it)"
	}
	return "use a user with 'exec', a token or a certificate"
}

// checkPlugin finds a credential plugin that is not installed.
func checkPlugin(path string, user *clientcmdapi.AuthInfo) error {
	if user.Exec == nil || user.Exec.Command == "" {
		return nil
	}
	_, err := exec.LookPath(user.Exec.Command)
	if err == nil {
		return nil
	}
	hint := "install it, or use a kubeconfig with a token or a certificate"
	if user.Exec.InstallHint != "" {
		hint = strings.TrimSpace(user.Exec.InstallHint)
	}
	problem := "is not installed on this machine"
	if errors.Is(err, fs.ErrPermission) {
		problem = "may not be executed"
	}
	return fmt.Errorf("kubeconfig %s gets its credentials from the program %q, which %s (%s): %w", path, user.Exec.Command, problem, hint, ErrPlugin)
}

// keyList lists a map's keys for a message.
func keyList[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
