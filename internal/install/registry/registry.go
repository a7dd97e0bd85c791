package registry

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// Registry is the operator's container registry, with the credentials of its
// docker login.
type Registry struct {
	config    Config
	host      name.Registry
	transport *http.Transport
	client    *auth.Client
	login     func() (Login, error) // of the docker configuration, read once
	base      string                // scheme://host, once it is known
	stall     time.Duration         // how long an upload may stand still, and half of what an answer may take
}

// Config is which registry it is, and how it is reached.
type Config struct {
	Address  string        // host[:port]/path, as stage.container_registry has it
	Insecure *bool         // plain HTTP and certificates that are not checked; nil is plain HTTP for this machine alone
	CAFile   string        // of its own certificate authority, "" for none
	Stall    time.Duration // how long an upload may stand still, and half of what an answer may take; 0 is 30 s
}

// insecure reports whether the operator allows plain HTTP and certificates that
// are not checked.
func (c Config) insecure() bool { return c.Insecure != nil && *c.Insecure }

// Open returns the registry of c; nothing is asked of it yet.
func Open(c Config) (*Registry, error) {
	t, err := connection.TLS{CAFile: c.CAFile, Insecure: c.insecure()}.Transport()
	if err != nil {
		return nil, err
	}
	t.ResponseHeaderTimeout = 0 // each request has its own limit
	t.ExpectContinueTimeout = expectTimeout
	r := &Registry{config: c, transport: t, stall: cmp.Or(c.Stall, connection.StallTimeout)}
	repository, err := name.NewRepository(c.Address+"/x", r.nameOptions()...)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeUsage, "stage.container_registry")
	}
	if err := CheckPath(c.Address); err != nil {
		return nil, fault.Errorf(fault.CodeUsage, "stage.container_registry %s", err)
	}
	r.host = repository.Registry
	r.login = sync.OnceValues(func() (Login, error) { return readLogin(r.host.RegistryStr()) })
	r.client = &auth.Client{Client: &http.Client{Transport: challenged{t}, CheckRedirect: connection.FollowContent}, Cache: auth.NewCache(), Credential: r.credential, ClientID: "algo-install",
		Header: http.Header{"User-Agent": {"algo-install"}}}
	return r, nil
}

// Close ends the connections that are kept for further use.
func (r *Registry) Close() { r.transport.CloseIdleConnections() }

// Host returns the registry's host and port.
func (r *Registry) Host() string { return r.host.RegistryStr() }

// UseLogin makes the registry use l in place of the docker login.
func (r *Registry) UseLogin(l Login) {
	r.login = func() (Login, error) { return l, nil }
}

func (r *Registry) nameOptions() []name.Option {
	options := []name.Option{name.StrictValidation}
	if r.config.insecure() {
		options = append(options, name.Insecure)
	}
	return options
}

// Split takes a mapping's tag or destination apart into the repository as the
// registry's API names it, and what follows.
func (r *Registry) Split(reference string) (repository, identifier string, err error) {
	ref, err := name.ParseReference(reference, r.nameOptions()...)
	if err != nil {
		return "", "", fault.Wrap(err, fault.CodeUsage, "stage.container_registry")
	}
	return ref.Context().RepositoryStr(), ref.Identifier(), nil
}

// Pushable returns an error unless the registry takes a push into a repository:
// it begins an upload and cancels it.
func (r *Registry) Pushable(ctx context.Context, repository string) error {
	if err := r.Connect(ctx); err != nil {
		return err
	}
	path, _, err := r.Split(repository + ":check")
	if err != nil {
		return err
	}
	location, err := r.BeginUpload(ctx, path)
	if err != nil {
		return err
	}
	response, err := r.send(ctx, exchange{method: http.MethodDelete, url: location, repository: path})
	if connection.IsDowngrade(err) {
		return err
	}
	if err == nil {
		connection.Drain(response) // an upload that stays begun is purged by the registry
	}
	return nil
}
