package unpack

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/constellation-serving/constellation/internal/retry"
)

// Access is how the registry is reached.
type Access struct {
	// AuthFile is a .dockerconfigjson with the registry's login; "" is none.
	AuthFile string
	// CAFile has certificate authorities beside the system's, PEM; "" is none.
	CAFile string
	// Insecure allows plain HTTP, or a certificate that nobody vouches for.
	Insecure bool
}

// source is one repository of the registry, whose login stays with it.
type source struct {
	client     *http.Client
	base       string // scheme://host/v2/repository
	repository string
	policy     retry.Policy
}

func connect(ctx context.Context, ref name.Digest, access Access, policy retry.Policy) (*source, error) {
	dialer, err := access.transport()
	if err != nil {
		return nil, err
	}
	login, err := access.login(ref.RegistryStr())
	if err != nil {
		return nil, err
	}
	var rounds http.RoundTripper
	err = retry.Do(ctx, policy, func() (err error) {
		rounds, err = transport.NewWithContext(ctx, ref.Context().Registry, login, tlsOnly{dialer, access.Insecure}, []string{ref.Context().Scope(transport.PullScope)})
		return classify(err)
	})
	if err != nil {
		return nil, fmt.Errorf("log in at the registry %s: %w", ref.RegistryStr(), err)
	}
	return &source{
		client:     &http.Client{Transport: rounds},
		base:       "https://" + ref.RegistryStr() + "/v2/" + ref.Context().RepositoryStr(), // the transport sets the scheme that the registry speaks
		repository: ref.Context().Name(), policy: policy,
	}, nil
}

// tlsOnly keeps requests, and so the login, from going out in plain text where
// that is not allowed.
type tlsOnly struct {
	http.RoundTripper
	insecure bool
}

// RoundTrip refuses plain HTTP unless it is allowed.
func (t tlsOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !t.insecure {
		return nil, retry.Permanent(fmt.Errorf("%s speaks plain HTTP, which stage.registry.insecure=true would allow", r.URL.Host))
	}
	return t.RoundTripper.RoundTrip(r)
}

func (a Access) transport() (http.RoundTripper, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: a.Insecure} //nolint:gosec // the operator says so
	if a.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(a.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the registry's certificate authority: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", a.CAFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// login reads the pull secret, as the kubelet does.
func (a Access) login(registry string) (authn.Authenticator, error) {
	if a.AuthFile == "" {
		return authn.Anonymous, nil
	}
	data, err := os.ReadFile(a.AuthFile)
	if err != nil {
		return nil, fmt.Errorf("read the pull secret: %w", err)
	}
	var config struct {
		Auths map[string]authn.AuthConfig `json:"auths"`
	}
	if json.Unmarshal(data, &config) != nil { // what it says may be secret
		return nil, errors.New("the pull secret is no .dockerconfigjson")
	}
	for _, key := range []string{registry, "https://" + registry, "http://" + registry, "https://" + registry + "/v1/", "https://" + registry + "/v2/"} {
		if found, ok := config.Auths[key]; ok {
			return authn.FromConfig(found), nil
		}
	}
	return authn.Anonymous, nil
}

// manifest reads a manifest and holds it to its digest.
func (s *source) manifest(ctx context.Context, digest string) ([]byte, error) {
	const most = 4 << 20
	var data []byte
	err := retry.Do(ctx, s.policy, func() error {
		body, err := s.get(ctx, "/manifests/"+digest, 0, 0)
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }() // only read
		data, err = io.ReadAll(io.LimitReader(body, most+1))
		if err == nil && len(data) > most {
			return retry.Permanent(fmt.Errorf("the manifest has more than %d bytes", most))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("get the manifest %s@%s: %w", s.repository, digest, err)
	}
	if got := digestOf(data); got != digest {
		return nil, fmt.Errorf("the registry answers with %s where %s@%s was asked for", got, s.repository, digest)
	}
	return data, nil
}

// get asks for a document, or for a blob of size bytes from an offset on.
func (s *source) get(ctx context.Context, path string, offset, size int64) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		return nil, retry.Permanent(err)
	}
	request.Header["Accept"] = []string{"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json", "*/*"}
	if offset > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, size-1))
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, classify(err)
	}
	switch {
	case response.StatusCode == http.StatusPartialContent && offset > 0:
		return response.Body, nil
	case response.StatusCode == http.StatusOK:
		if _, err := io.CopyN(io.Discard, response.Body, offset); err != nil {
			return nil, errors.Join(err, response.Body.Close())
		}
		return response.Body, nil
	}
	_ = response.Body.Close() // nothing more to read
	err = fmt.Errorf("the registry answers %s", response.Status)
	if !retry.TransientStatus(response.StatusCode) {
		err = retry.Permanent(err)
	}
	return nil, err
}

// classify marks what another attempt cannot mend.
func classify(err error) error {
	var answered *transport.Error
	if errors.As(err, &answered) && !retry.TransientStatus(answered.StatusCode) || retry.PermanentConnection(err) {
		return retry.Permanent(err)
	}
	return err
}
