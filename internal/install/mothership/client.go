package mothership

import (
	"cmp"
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
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/terminal"
	"github.com/constellation-serving/constellation/internal/retry"
)

const maxPlanBytes = 64 << 20

// Client is the client of one mothership with one key.
type Client struct {
	base      *url.URL
	key       string
	transport *http.Transport
}

// New returns the client of the mothership at base. answer is how long
// an answer may take to begin; 0 is 30 s.
func New(base *url.URL, key string, tls connection.TLS, answer time.Duration) (*Client, error) {
	transport, err := tls.Transport()
	if err != nil {
		return nil, err
	}
	transport.ResponseHeaderTimeout = cmp.Or(answer, connection.HeaderTimeout)
	return &Client{base: base, key: key, transport: transport}, nil
}

// Close ends the connections that are kept for further use.
func (m *Client) Close() { m.transport.CloseIdleConnections() }

// Address returns where the mothership is.
func (m *Client) Address() string { return m.base.String() }

// Plan returns a launch's signed plan, nil when it is still the one of etag.
func (m *Client) Plan(ctx context.Context, satelliteID, launchID, etag string) (*apiv1.SignedPlan, error) {
	path := "/v1/satellites/" + satelliteID + "/launches/" + launchID + "/plan"
	header := http.Header{"Accept": {"application/json"}}
	if etag != "" {
		header.Set("If-None-Match", `"`+etag+`"`)
	}
	response, err := m.get(ctx, path, header, connection.FollowNothing)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	if response.StatusCode == http.StatusNotModified && etag != "" {
		return nil, nil
	}
	if response.StatusCode != http.StatusOK {
		return nil, m.Refused(response)
	}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		return nil, retry.Permanent(fault.Errorf(fault.CodeNetwork, "%s answers, but not as a mothership does; check the address", m.base))
	}
	plan := &apiv1.SignedPlan{}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxPlanBytes)).Decode(plan); err != nil || plan.Launch == "" {
		return nil, fault.Wrap(err, fault.CodeNetwork, "%s answers, but not as a mothership does; check the address", m.base)
	}
	return plan, nil
}

// Content fetches what the mothership's registry holds, which may be kept
// elsewhere.
func (m *Client) Content(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	return m.get(ctx, path, header, connection.FollowContent)
}

// get sends one GET, authorised, and translates what goes wrong on the way.
func (m *Client) get(ctx context.Context, path string, header http.Header, redirect func(*http.Request, []*http.Request) error) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(m.base.String(), "/")+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", m.base, err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("Authorization", "Bearer "+m.key)
	request.Header.Set("User-Agent", "algo-install")
	response, err := (&http.Client{Transport: m.transport, CheckRedirect: redirect}).Do(request)
	if err != nil {
		return nil, m.Unreachable(ctx, err)
	}
	return response, nil
}

// Unreachable returns why no answer came, and what to do where that is known.
func (m *Client) Unreachable(ctx context.Context, err error) error {
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
	case connection.IsDowngrade(err):
		return retry.Permanent(fault.Wrap(cause, fault.CodeNetwork, "the mothership sends the download on without TLS, which is refused"))
	case errors.As(err, &unknown):
		return retry.Permanent(fault.Errorf(fault.CodeNetwork, "the certificate of %s is signed by no authority that this machine knows; give the mothership's CA with --ca-file FILE (or --insecure to go on without checking)", m.base.Host))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return retry.Permanent(fault.Errorf(fault.CodeNetwork, "the certificate of %s is not valid now, which this machine's clock says is %s; set the clock if that is wrong, else the mothership's admin renews the certificate",
			m.base.Host, time.Now().UTC().Format("2006-01-02 15:04 UTC")))
	case errors.As(err, &host), errors.As(err, &invalid):
		return retry.Permanent(fault.Wrap(cause, fault.CodeNetwork, "the certificate of %s is not valid for it", m.base.Host))
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return retry.Permanent(fault.Errorf(fault.CodeNetwork, "%s does not speak TLS; write --mothership http://%s if that is meant", m.base.Host, m.base.Host))
	case errors.As(err, &dns) && dns.IsNotFound:
		return retry.Permanent(fault.Errorf(fault.CodeNetwork, "there is no host %s; check --mothership", m.base.Hostname()))
	}
	return fault.Wrap(cause, fault.CodeNetwork, "the mothership %s does not answer; check --mothership and the network", m.base)
}

// Refused turns an answer that is no success into an error with the
// mothership's own sentence.
func (m *Client) Refused(response *http.Response) error {
	if connection.IsRedirect(response) {
		return retry.Permanent(m.elsewhere(response))
	}
	data, _ := io.ReadAll(io.LimitReader(response.Body, connection.MaxErrorBytes)) //nolint:errcheck // the status says enough
	text := messageOf(data)
	if text == "" {
		text = "it answered " + response.Status
	}
	switch code := response.StatusCode; {
	case code == http.StatusUnauthorized:
		return retry.Permanent(fault.Errorf(fault.CodeAuth, "the mothership refuses the API key: %s", text))
	case code == http.StatusForbidden:
		return retry.Permanent(fault.Errorf(fault.CodeAuth, "the mothership forbids it: %s", text))
	case code == http.StatusNotFound && messageOf(data) == "":
		return retry.Permanent(fault.Errorf(fault.CodeNetwork, "%s has no such page; check that this is the mothership's address", m.base))
	case code == http.StatusNotFound:
		return retry.Permanent(fault.Errorf(fault.CodeFailed, "the mothership does not have it: %s", text))
	case retry.TransientStatus(code) || code == http.StatusNotImplemented:
		return retry.After(fault.Errorf(fault.CodeNetwork, "the mothership cannot answer now: %s", text), retry.HeaderDelay(response.Header, connection.LongestWait))
	default:
		return retry.Permanent(fault.Errorf(fault.CodeFailed, "the mothership refuses: %s", text))
	}
}

// elsewhere returns the error of a redirect of the API, which is not followed: the key goes
// only to the address that the operator gave.
func (m *Client) elsewhere(response *http.Response) *fault.Error {
	to, err := response.Location()
	if err != nil {
		return fault.Errorf(fault.CodeNetwork, "%s answers %s; check that this is the mothership's address", m.base, response.Status)
	}
	if err := connection.CheckDowngrade(m.base, to); err != nil {
		return fault.Wrap(err, fault.CodeNetwork, "the key was not sent on; check that this is the mothership's address")
	}
	address := connection.OriginOf(to)
	if before, _, ok := strings.Cut(to.Path, "/v1/"); ok {
		address += before
	}
	return fault.Errorf(fault.CodeNetwork, "%s sends requests on to %s, and the key was not sent there; if that is the mothership, give --mothership %s", m.base, connection.SentOn(response), address)
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
		return terminal.OneLine(body.Errors[0].Message)
	}
	return terminal.OneLine(body.Error.Message)
}
