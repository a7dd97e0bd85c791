package install

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

const (
	headerTimeout = 30 * time.Second
	maxPlanBytes  = 64 << 20
	maxErrorBytes = 64 << 10
)

// TLS is how the other side of a connection is checked.
type TLS struct {
	CAFile   string // PEM, besides the system's
	Insecure bool   // not at all
}

func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Insecure} //nolint:gosec // the operator's choice
	if t.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, wrap(err, CodeUsage, "read the CA file")
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errorf(CodeUsage, "the CA file %s has no certificate in PEM form", t.CAFile)
	}
	config.RootCAs = pool
	return config, nil
}

// transport has no overall time limit: bodies are large, and whoever reads
// them watches for silence.
func (t TLS) transport() (*http.Transport, error) {
	config, err := t.config()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       config, // and so HTTP/1.1: a connection a download, each with its own window
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: headerTimeout,
		MaxIdleConnsPerHost:   mostWidth,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
	}, nil
}

// mothership speaks to one mothership with one key.
type mothership struct {
	base   *url.URL
	key    string
	client *http.Client
	retrier
}

// plan fetches the signed plan; nil when it is still the one of etag.
func (m *mothership) plan(ctx context.Context, f Folder, etag string) (*apiv1.SignedPlan, error) {
	path := "/v1/satellites/" + f.SatelliteID + "/launches/" + f.LaunchID + "/plan"
	header := http.Header{"Accept": {"application/json"}}
	if etag != "" {
		header.Set("If-None-Match", `"`+etag+`"`)
	}
	var plan *apiv1.SignedPlan
	err := m.retry(ctx, "fetch the plan", planAttempts, func() (bool, error) {
		response, err := m.get(ctx, path, header)
		if err != nil {
			return false, err
		}
		defer response.Body.Close() //nolint:errcheck // read only
		if response.StatusCode == http.StatusNotModified && etag != "" {
			plan = nil
			return false, nil
		}
		if response.StatusCode != http.StatusOK {
			return false, m.refused(response)
		}
		if strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
			return false, final{errorf(CodeNetwork, "%s answers, but not as a mothership does; check the address", m.base)}
		}
		plan = &apiv1.SignedPlan{}
		if err := json.NewDecoder(io.LimitReader(response.Body, maxPlanBytes)).Decode(plan); err != nil || plan.Launch == "" {
			return false, wrap(err, CodeNetwork, "%s answers, but not as a mothership does; check the address", m.base)
		}
		return false, nil
	})
	return plan, err
}

// get sends one GET, authorised, and translates what goes wrong on the way.
func (m *mothership) get(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(m.base.String(), "/")+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", m.base, err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("Authorization", "Bearer "+m.key)
	request.Header.Set("User-Agent", "algo-install")
	response, err := m.client.Do(request)
	if err != nil {
		return nil, m.unreachable(ctx, err)
	}
	return response, nil
}

// unreachable says why no answer came, and what to do where that is known.
func (m *mothership) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		dns     *net.DNSError
		asked   *url.Error
	)
	cause := err
	if errors.As(err, &asked) {
		cause = asked.Err // without the URL, which the message has already
	}
	switch {
	case errors.As(err, &unknown):
		return final{errorf(CodeNetwork, "the certificate of %s is signed by no authority that this machine knows; give the mothership's CA with --ca-file FILE (or --insecure to go on without checking)", m.base.Host)}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return final{errorf(CodeNetwork, "the certificate of %s is not valid now, which this machine's clock says is %s; set the clock if that is wrong, else the mothership's admin renews the certificate",
			m.base.Host, time.Now().UTC().Format("2006-01-02 15:04 UTC"))}
	case errors.As(err, &host), errors.As(err, &invalid):
		return final{wrap(cause, CodeNetwork, "the certificate of %s is not valid for it", m.base.Host)}
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return final{errorf(CodeNetwork, "%s does not speak TLS; write --mothership http://%s if that is meant", m.base.Host, m.base.Host)}
	case errors.As(err, &dns) && dns.IsNotFound:
		return final{errorf(CodeNetwork, "there is no host %s; check --mothership", m.base.Hostname())}
	}
	return wrap(cause, CodeNetwork, "the mothership %s does not answer; check --mothership and the network", m.base)
}

// refused turns an answer that is no success into an error with the
// mothership's own sentence.
func (m *mothership) refused(response *http.Response) error {
	data, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBytes)) //nolint:errcheck // the status says enough
	text := messageOf(data)
	if text == "" {
		text = "it answered " + response.Status
	}
	switch code := response.StatusCode; {
	case code == http.StatusUnauthorized:
		return final{errorf(CodeAuth, "the mothership refuses the API key: %s", text)}
	case code == http.StatusForbidden:
		return final{errorf(CodeAuth, "the mothership forbids it: %s", text)}
	case code == http.StatusNotFound && messageOf(data) == "":
		return final{errorf(CodeNetwork, "%s has no such page; check that this is the mothership's address", m.base)}
	case code == http.StatusNotFound:
		return final{errorf(CodeFailed, "the mothership does not have it: %s", text)}
	case code == http.StatusTooManyRequests || code >= 500:
		return later{errorf(CodeNetwork, "the mothership cannot answer now: %s", text), retryAfter(response)}
	default:
		return final{errorf(CodeFailed, "the mothership refuses: %s", text)}
	}
}

// messageOf reads the error of the REST API, or the first of the registry's.
func messageOf(data []byte) string {
	var body struct {
		Error  struct{ Message string }
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(data, &body) != nil {
		return ""
	}
	if body.Error.Message == "" && len(body.Errors) > 0 {
		return body.Errors[0].Message
	}
	return body.Error.Message
}
