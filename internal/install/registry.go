package install

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/constellation-serving/constellation/internal/kube"
)

// registry is the operator's container registry, with the credentials of its
// docker login.
type registry struct {
	stage     Stage
	host      name.Registry
	transport *http.Transport
	keychain  authn.Keychain
}

func openRegistry(stage Stage) (*registry, error) {
	t, err := TLS{CAFile: stage.Registry.CAFile, Insecure: stage.Registry.Insecure}.transport()
	if err != nil {
		return nil, err
	}
	r := &registry{stage: stage, transport: t, keychain: authn.DefaultKeychain}
	repository, err := name.NewRepository(stage.ContainerRegistry+"/x", r.nameOptions()...)
	if err != nil {
		return nil, wrap(err, CodeUsage, "stage.container_registry")
	}
	r.host = repository.Registry
	return r, nil
}

func (r *registry) nameOptions() []name.Option {
	options := []name.Option{name.StrictValidation}
	if r.stage.Registry.Insecure {
		options = append(options, name.Insecure)
	}
	return options
}

func (r *registry) options(ctx context.Context, t http.RoundTripper) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithTransport(t), remote.WithAuthFromKeychain(r.keychain), remote.WithUserAgent("algo-install"), remote.WithJobs(downloadWidth)}
}

// pullConfig makes the pull secret's content from the docker login; nil when
// there is no login, as for a registry that is open to all.
func (r *registry) pullConfig() ([]byte, error) {
	auth, err := r.keychain.Resolve(r.host)
	if err != nil {
		return nil, wrap(err, CodeAuth, "read the docker login for %s", r.host)
	}
	login, err := auth.Authorization()
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
		if refusal := new(transport.Error); e.Code == CodeNetwork || errors.As(err, &refusal) && refusal.StatusCode == http.StatusUnauthorized {
			break // the other repositories are behind the same address and login
		}
	}
	return checks
}

func (r *registry) pushable(ctx context.Context, repository string) error {
	ref, err := name.NewTag(repository+":check", r.nameOptions()...)
	if err != nil {
		return err
	}
	return remote.CheckPushPermission(ref, r.keychain, bound{ctx, r.transport})
}

// bound ends requests of calls that take no context when ctx ends.
type bound struct {
	ctx  context.Context
	base http.RoundTripper
}

func (b bound) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := b.ctx.Err(); err != nil {
		return nil, err
	}
	return b.base.RoundTrip(request)
}

// explain turns a registry's refusal into one sentence.
func (r *registry) explain(err error, what string) *Error {
	var refusal *transport.Error
	if !errors.As(err, &refusal) {
		return errorf(CodeNetwork, "the registry %s does not answer as a registry does: %s: %s", r.host, what, lastCause(err))
	}
	text := http.StatusText(refusal.StatusCode)
	if len(refusal.Errors) > 0 && refusal.Errors[0].Message != "" {
		text = refusal.Errors[0].Message
	}
	switch refusal.StatusCode {
	case http.StatusUnauthorized:
		return errorf(CodeAuth, "the registry %s refuses the login: %s: %s", r.host, what, text)
	case http.StatusForbidden:
		return errorf(CodeAuth, "the registry %s forbids it: %s: %s", r.host, what, text)
	}
	return errorf(CodeFailed, "the registry %s answered %d: %s: %s", r.host, refusal.StatusCode, what, text)
}

// lastCause gives the end of a chain of failed requests: the last one's, after
// its URL.
func lastCause(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, `": `); i >= 0 {
		text = text[i+len(`": `):]
	}
	return text
}

func (r *registry) fix(e *Error, repository string) string {
	host, path, _ := strings.Cut(repository, "/")
	switch {
	case e.Code == CodeAuth:
		return "run 'docker login " + host + "' with an account that may push"
	case e.Code == CodeNetwork && !r.stage.Registry.Insecure:
		return "check the address and the network; for a registry with its own CA configure stage.registry.ca_file=FILE, for plain HTTP stage.registry.insecure=true"
	case e.Code == CodeNetwork:
		return "check stage.container_registry, and that this machine reaches it"
	case strings.Contains(host, ".dkr.ecr."):
		return "make the repository with 'aws ecr create-repository --repository-name " + path + "'"
	}
	return "check stage.container_registry"
}

// counting counts the bytes of uploads as they are sent.
type counting struct {
	base  http.RoundTripper
	count *transfer
}

// RoundTrip sends one request.
func (c counting) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Body != nil && request.Method == http.MethodPatch {
		request = request.Clone(request.Context())
		request.Body = countedBody{request.Body, c.count}
	}
	return c.base.RoundTrip(request)
}

type countedBody struct {
	io.ReadCloser
	count *transfer
}

// Read counts what it gives.
func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.count.add(int64(n))
	return n, err
}
