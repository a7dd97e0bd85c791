package heartbeat

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/retry"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// maxAnswer bounds what is read of a mothership's answer: all that a satellite
// may have of keys, each with the longest vanity URLs, is some 20 MiB.
const maxAnswer = 32 << 20

// Transport makes the way to a mothership; nil is the system's, with the
// proxy and the certificates that the configuration adds.
type Transport func(config.Mothership) (http.RoundTripper, error)

// refusedError is an answer that is no success.
type refusedError struct {
	status     int
	retryAfter time.Duration
	message    string
}

func (e *refusedError) Error() string { return e.message }

// client talks to the mothership; the way there is made again when its
// settings change.
type client struct {
	token     string
	transport Transport

	mu   sync.Mutex
	made config.Mothership
	http *http.Client
}

func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
}

func (c *client) to(m config.Mothership) (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil && c.made == m {
		return c.http, nil
	}
	way := c.transport
	if way == nil {
		way = NewTransport
	}
	transport, err := way(m)
	if err != nil {
		return nil, err
	}
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
	c.made, c.http = m, &http.Client{Transport: transport, CheckRedirect: followNothing}
	return c.http, nil
}

// followNothing is the redirect policy of whatever carries a token: that goes
// to the address that it is for, and to no other.
func followNothing(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// NewTransport goes through the proxy of the configuration, or else of the
// environment (HTTPS_PROXY, NO_PROXY), and trusts its certificates besides
// the system's.
func NewTransport(m config.Mothership) (http.RoundTripper, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 1
	if m.Proxy != "" {
		proxy, err := url.Parse(m.Proxy)
		if err != nil || proxy.Host == "" {
			return nil, fmt.Errorf("the proxy is a URL such as http://proxy.example.com:3128; not %q", m.Proxy)
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	if m.CA != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(m.CA)) {
			return nil, errors.New("the mothership's CA has no certificate in PEM form")
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return t, nil
}

// report posts one heartbeat.
func (c *client) report(ctx context.Context, r Report, body *apiv1.Heartbeat) (*apiv1.HeartbeatAnswer, error) {
	client, err := c.to(r.Mothership)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write the heartbeat: %w", err)
	}
	address := strings.TrimSuffix(r.Mothership.URL, "/") + "/v1/satellites/" + r.Satellite.ID + "/launches/" + r.Launch + "/heartbeat"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("the mothership's address cannot be used: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("User-Agent", "constellation-engine/"+body.SystemVersion)
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("report to the mothership: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // read only
	data, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the mothership's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, refusal(response, data, r.Mothership.URL)
	}
	var answer apiv1.HeartbeatAnswer
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("what answers at %s is no mothership: %w", r.Mothership.URL, err)
	}
	return &answer, nil
}

func refusal(response *http.Response, body []byte, at string) *refusedError {
	e := &refusedError{status: response.StatusCode, retryAfter: retry.HeaderDelay(response.Header, maxInterval)}
	var told apiv1.ErrorBody
	if json.Unmarshal(body, &told) == nil {
		e.message = told.Error.Message
	}
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400:
		e.message = fmt.Sprintf("%s sends heartbeats on to %s; configure stage.fqdn with where the mothership is", at, response.Header.Get("Location"))
	case e.message == "":
		e.message = fmt.Sprintf("%s answered %s", at, response.Status)
	default:
		e.message = fmt.Sprintf("%s answered %s: %s", at, response.Status, e.message)
	}
	return e
}
