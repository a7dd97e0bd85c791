package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/fault"
	dockerconfig "github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// NoLogin is why the docker login cannot be read: nothing was asked of the
// registry with it.
type NoLogin string

// Error names the file and what to do.
func (n NoLogin) Error() string { return string(n) }

// Login is what 'docker login' or 'podman login' keeps for a registry; the
// zero value is none.
type Login struct {
	types.AuthConfig
	file string // that it is kept in
}

// None reports whether there is no login.
func (l Login) None() bool {
	return l.Username == "" && l.Password == "" && l.IdentityToken == "" && l.RegistryToken == ""
}

// loginFiles are where a login may be kept; the first one that is there holds,
// as for docker and podman.
func loginFiles() []string {
	home, _ := os.UserHomeDir()
	var files []string
	add := func(dir string, name ...string) {
		if dir != "" {
			files = append(files, filepath.Join(append([]string{dir}, name...)...))
		}
	}
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		add(dir, "config.json")
	} else {
		add(home, ".docker", "config.json")
	}
	add(os.Getenv("REGISTRY_AUTH_FILE"))
	add(os.Getenv("XDG_RUNTIME_DIR"), "containers", "auth.json")
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		add(dir, "containers", "auth.json")
	} else {
		add(home, ".config", "containers", "auth.json")
	}
	return files
}

// readLogin returns the login for a registry. Its error has CodeAuth and names
// the file.
func readLogin(host string) (Login, error) {
	for _, file := range loginFiles() {
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
			continue
		}
		if err != nil {
			return Login{}, badLogin(host, "%v", err)
		}
		return ParseLogin(file, data, host)
	}
	return Login{}, nil
}

func badLogin(host, format string, args ...any) error {
	return fault.Wrap(NoLogin(fmt.Sprintf(format, args...)), fault.CodeAuth, "the docker login for %s cannot be read", host)
}

// ParseLogin returns the login for host that a docker configuration has, which
// was read from file.
func ParseLogin(file string, data []byte, host string) (Login, error) {
	config, err := dockerconfig.LoadFromReader(bytes.NewReader(data))
	if err != nil {
		return Login{}, badLogin(host, "%s is no docker configuration (%v); mend it, or move it away and run 'docker login %s' again", file, err, host)
	}
	config.Filename = file
	key := host
	if key == name.DefaultRegistry {
		key = authn.DefaultAuthKey
	}
	found, err := config.GetAuthConfig(key)
	if err != nil {
		helper := config.CredentialsStore
		if own, ok := config.CredentialHelpers[key]; ok {
			helper = own
		}
		program := "docker-credential-" + helper
		if _, missing := exec.LookPath(program); missing != nil {
			return Login{}, badLogin(host, "%s names the credential helper %s, which is not installed on this machine or not in PATH; install it, or take it out of that file and run 'docker login %s'",
				file, program, host)
		}
		return Login{}, badLogin(host, "the credential helper %s, which %s names, says: %s", program, file, helperSaid(err))
	}
	return Login{found, file}, nil
}

// helperSaid returns what a credential helper printed, without the library's
// words around it.
func helperSaid(err error) string {
	text := err.Error()
	if _, said, ok := strings.Cut(text, "out: `"); ok && strings.Trim(said, "` \n") != "" {
		return strings.Trim(said, "` \n")
	}
	return strings.TrimPrefix(text, "error getting credentials - err: ")
}

// credential returns the docker login for the registry, and for no other host.
func (r *Registry) credential(_ context.Context, host string) (auth.Credential, error) {
	if host != r.host.RegistryStr() {
		return auth.EmptyCredential, nil
	}
	l, err := r.login()
	if err != nil {
		return auth.EmptyCredential, err
	}
	return auth.Credential{Username: l.Username, Password: l.Password, RefreshToken: l.IdentityToken, AccessToken: l.RegistryToken}, nil
}

// PullConfig makes the pull secret's content from the docker login; nil when
// there is no login, as for a registry that is open to all. Kubelets log in
// with a name and a password and nothing else.
func (r *Registry) PullConfig() ([]byte, error) {
	l, err := r.login()
	if err != nil || l.None() {
		return nil, err
	}
	host := r.host.RegistryStr()
	if l.Username == "" || l.Password == "" {
		return nil, &fault.Error{Code: fault.CodeAuth,
			Message: fmt.Sprintf("pods cannot pull with the docker login for %s in %s: it is a token, as 'az acr login' leaves it, and has no password", host, l.file),
			Next: "→ configure stage.registry.pull_secret=existing:NAME, a Secret of the namespace with a name and a password\n" +
				"→ or stage.registry.pull_secret=none, where the nodes may pull by themselves (as AKS with an attached registry)\n" +
				"→ or run 'docker login " + host + "' with a name and a password"}
	}
	token := base64.StdEncoding.EncodeToString([]byte(l.Username + ":" + l.Password))
	if host == name.DefaultRegistry {
		host = authn.DefaultAuthKey
	}
	return json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": token}}})
}
