package install

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube"
)

// registry is the operator's container registry, with the credentials of its
// docker login.
type registry struct {
	stage     Stage
	host      name.Registry
	transport *http.Transport
	client    *auth.Client
	keychain  authn.Keychain
	base      string        // scheme://host, once it is known
	idle      time.Duration // how long an upload may stand still, and half of what an answer may take
}

func openRegistry(stage Stage) (*registry, error) {
	t, err := TLS{CAFile: stage.Registry.CAFile, Insecure: stage.Registry.Insecure}.transport()
	if err != nil {
		return nil, err
	}
	t.ResponseHeaderTimeout = 0 // each request has its own limit
	r := &registry{stage: stage, transport: t, keychain: authn.DefaultKeychain, idle: idleTimeout}
	repository, err := name.NewRepository(stage.ContainerRegistry+"/x", r.nameOptions()...)
	if err != nil {
		return nil, wrap(err, CodeUsage, "stage.container_registry")
	}
	if err := checkRegistryPath(stage.ContainerRegistry); err != nil {
		return nil, errorf(CodeUsage, "stage.container_registry %s", err)
	}
	r.host = repository.Registry
	r.client = &auth.Client{Client: &http.Client{Transport: t}, Cache: auth.NewCache(), Credential: r.credential, ClientID: "algo-install",
		Header: http.Header{"User-Agent": {"algo-install"}}}
	return r, nil
}

func (r *registry) nameOptions() []name.Option {
	options := []name.Option{name.StrictValidation}
	if r.stage.Registry.Insecure {
		options = append(options, name.Insecure)
	}
	return options
}

// split takes a mapping's tag or destination apart into the repository as the
// registry's API names it, and what follows.
func (r *registry) split(reference string) (repository, identifier string, err error) {
	ref, err := name.ParseReference(reference, r.nameOptions()...)
	if err != nil {
		return "", "", wrap(err, CodeUsage, "stage.container_registry")
	}
	return ref.Context().RepositoryStr(), ref.Identifier(), nil
}

// manifestTypes are the media types of all that a launch holds.
var manifestTypes = []string{"application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json"}

// has asks for a tag's digest with one HEAD.
func (r *registry) has(ctx context.Context, tag, digest string) (bool, error) {
	if err := r.connect(ctx); err != nil {
		return false, r.whyNot(ctx, err, "look for "+tag)
	}
	repository, identifier, err := r.split(tag)
	if err != nil {
		return false, err
	}
	found, err := r.resolve(ctx, repository, identifier)
	if err != nil {
		return false, r.whyNot(ctx, err, "look for "+tag)
	}
	return found == digest, nil
}

// resolve gives the digest of a tag, "" when there is none.
func (r *registry) resolve(ctx context.Context, repository, tag string) (string, error) {
	path := "/v2/" + repository + "/manifests/" + tag
	header := http.Header{"Accept": manifestTypes}
	response, err := r.send(ctx, exchange{method: http.MethodHead, url: path, repository: repository, header: header})
	if err != nil {
		return "", err
	}
	drain(response)
	switch digest := response.Header.Get("Docker-Content-Digest"); {
	case response.StatusCode == http.StatusOK && digest != "":
		return digest, nil
	case response.StatusCode == http.StatusNotFound, response.StatusCode == http.StatusForbidden:
		return "", nil // some registries forbid what they do not have
	case response.StatusCode != http.StatusOK:
		return "", newRefusal(response)
	}
	response, err = r.send(ctx, exchange{method: http.MethodGet, url: path, repository: repository, header: header})
	if err != nil {
		return "", err
	}
	defer drain(response)
	data, err := readLimited(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return "", err
	}
	return bundle.Digest(data), nil
}

// whyNot is explain, and nothing when it was the operator who ended it.
func (r *registry) whyNot(ctx context.Context, err error, what string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.explain(err, what)
}

// pullConfig makes the pull secret's content from the docker login; nil when
// there is no login, as for a registry that is open to all.
func (r *registry) pullConfig() ([]byte, error) {
	resolved, err := r.keychain.Resolve(r.host)
	if err != nil {
		return nil, wrap(err, CodeAuth, "read the docker login for %s", r.host)
	}
	login, err := resolved.Authorization()
	if err != nil {
		return nil, wrap(err, CodeAuth, "read the docker login for %s", r.host)
	}
	if login.Username == "" && login.Auth == "" {
		return nil, nil
	}
	token := login.Auth
	if token == "" {
		token = base64.StdEncoding.EncodeToString([]byte(login.Username + ":" + login.Password))
	}
	host := r.host.RegistryStr()
	if host == name.DefaultRegistry {
		host = authn.DefaultAuthKey
	}
	return json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": token}}})
}

// check finds out whether the registry answers and takes a push into every
// repository; it begins an upload and cancels it.
func (r *registry) check(ctx context.Context, images map[string]Mapping) []kube.Check {
	var repositories []string
	for _, m := range images {
		repository, _, _ := strings.Cut(m.Destination, "@")
		repositories = append(repositories, repository)
	}
	slices.Sort(repositories)
	var checks []kube.Check
	for _, repository := range slices.Compact(repositories) {
		err := r.pushable(ctx, repository)
		if err == nil {
			checks = append(checks, kube.Check{Name: "registry", State: kube.OK, Message: "may push to " + repository})
			continue
		}
		e := r.explain(err, "push to "+repository)
		checks = append(checks, kube.Check{Name: "registry", State: kube.Problem, Message: e.Error(), Fix: r.fix(e, repository)})
		if refused := new(refusal); e.Code == CodeNetwork || errors.As(err, &refused) && refused.status == http.StatusUnauthorized {
			break // the other repositories are behind the same address and login
		}
	}
	return checks
}

func (r *registry) pushable(ctx context.Context, repository string) error {
	if err := r.connect(ctx); err != nil {
		return err
	}
	path, _, err := r.split(repository + ":check")
	if err != nil {
		return err
	}
	response, err := r.send(ctx, exchange{method: http.MethodPost, url: "/v2/" + path + "/blobs/uploads/", repository: path})
	if err != nil {
		return err
	}
	defer drain(response)
	if response.StatusCode != http.StatusAccepted {
		return newRefusal(response)
	}
	if location, err := follow(response); err == nil {
		if response, err := r.send(ctx, exchange{method: http.MethodDelete, url: location, repository: path}); err == nil {
			drain(response) // an upload that stays begun is purged by the registry
		}
	}
	return nil
}

// follow gives the address that an answer's Location names.
func follow(response *http.Response) (string, error) {
	location := response.Header.Get("Location")
	if location == "" || response.Request == nil {
		return "", errorf(CodeNetwork, "the registry began an upload and did not say where")
	}
	u, err := response.Request.URL.Parse(location)
	if err != nil {
		return "", wrap(err, CodeNetwork, "the registry began an upload at no address")
	}
	return u.String(), nil
}

// withDigest adds the digest to an upload's address.
func withDigest(location, digest string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", wrap(err, CodeNetwork, "the registry began an upload at no address")
	}
	query := u.Query()
	query.Set("digest", digest)
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// fix says what mends a refused push, for one repository.
func (r *registry) fix(e *Error, repository string) string {
	host, path, _ := strings.Cut(repository, "/")
	switch {
	case e.Code == CodeAuth:
		return "run 'docker login " + host + "' with an account that may push"
	case e.Code == CodeNetwork && !r.stage.Registry.Insecure:
		return "check the address and the network; for a registry with its own CA configure stage.registry.ca_file=FILE, for plain HTTP stage.registry.insecure=true"
	case e.Code == CodeNetwork:
		return "check stage.container_registry, and that this machine reaches it"
	case kindOf(host) == kindECR:
		return "make the repository with '" + createECR(host, path) + "'"
	}
	return cmp.Or(pathHint(host), "check stage.container_registry")
}

// readerAt is what a blob's bytes are read from while they are pushed.
type readerAt interface {
	io.ReaderAt
	io.Closer
}
