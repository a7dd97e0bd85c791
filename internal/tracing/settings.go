package tracing

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/net/http/httpguts"
)

// Settings are where spans go and which are taken.
type Settings struct {
	url     *url.URL // nil is nowhere
	headers map[string]string
	sampler sdktrace.Sampler
	service string
	roots   *x509.CertPool // nil is the system's
}

// tracesPath is where collectors take spans.
const tracesPath = "/v1/traces"

// On reports whether spans are to be sent anywhere.
func (s Settings) On() bool { return s.url != nil }

// Read returns the settings of a collector at endpoint, a setting of ours, with the
// standard variables of OpenTelemetry, which env returns. Without an endpoint, theirs
// counts. An endpoint without a path has [tracesPath].
func Read(endpoint string, env func(string) string) (Settings, error) {
	from := "--otlp-endpoint"
	if endpoint == "" {
		endpoint, from = theirEndpoint(env)
	}
	if endpoint == "" {
		return Settings{}, nil
	}
	var s Settings
	var err error
	if s.url, err = parseEndpoint(endpoint); err != nil {
		return Settings{}, fmt.Errorf("%s: %w", from, err)
	}
	if protocol := first(env, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return Settings{}, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: spans are sent as http/protobuf alone, to port 4318 of most collectors; not as %q", protocol)
	}
	if s.headers, err = parseHeaders(first(env, "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")); err != nil {
		return Settings{}, fmt.Errorf("OTEL_EXPORTER_OTLP_HEADERS: %w", err)
	}
	if s.sampler, err = parseSampler(env("OTEL_TRACES_SAMPLER"), env("OTEL_TRACES_SAMPLER_ARG")); err != nil {
		return Settings{}, err
	}
	if s.roots, err = readRoots(first(env, "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")); err != nil {
		return Settings{}, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
	}
	s.service = env("OTEL_SERVICE_NAME")
	return s, nil
}

// theirEndpoint is what the standard variables say, and which of them.
func theirEndpoint(env func(string) string) (endpoint, from string) {
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || env("OTEL_TRACES_EXPORTER") == "none" {
		return "", ""
	}
	if endpoint := env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"); endpoint != "" {
		return endpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	}
	endpoint = env("OTEL_EXPORTER_OTLP_ENDPOINT")
	if u, err := url.Parse(endpoint); err == nil && strings.Trim(u.Path, "/") != "" { // of all signals
		endpoint = strings.TrimRight(endpoint, "/") + tracesPath
	}
	return endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT"
}

func first(env func(string) string, names ...string) string {
	for _, name := range names {
		if value := env(name); value != "" {
			return value
		}
	}
	return ""
}

// parseEndpoint never repeats what it was given: a login may be in it.
func parseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("a collector is named by its URL, such as http://otel-collector:4318")
	case u.User != nil:
		return nil, errors.New("a login is given by OTEL_EXPORTER_OTLP_HEADERS, such as Authorization=Basic%20…, and not in the URL")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the URL of a collector has neither a query nor a fragment")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = tracesPath
	}
	return u, nil
}

// maxHeaders is how many headers there may be.
const maxHeaders = 32

// parseHeaders reads NAME=VALUE,NAME=VALUE, whose values may be escaped as in a URL. It
// never repeats a value.
func parseHeaders(text string) (map[string]string, error) {
	headers := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("header %d is not NAME=VALUE with a value that is escaped as in a URL, such as Authorization=Bearer%%20…", len(headers)+1)
		}
		if headers[name] = value; len(headers) > maxHeaders {
			return nil, fmt.Errorf("there are more than %d headers", maxHeaders)
		}
	}
	return headers, nil
}

// parseSampler is which traces are taken, in OpenTelemetry's words.
func parseSampler(name, arg string) (sdktrace.Sampler, error) {
	ratio := 1.0
	if strings.HasSuffix(name, "traceidratio") && arg != "" {
		var err error
		if ratio, err = strconv.ParseFloat(arg, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			return nil, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: the part of traces that are taken is from 0 to 1, such as 0.01; not %q", arg)
		}
	}
	switch name {
	case "", "parentbased_always_on":
		return sdktrace.ParentBased(sdktrace.AlwaysSample()), nil
	case "parentbased_always_off":
		return sdktrace.ParentBased(sdktrace.NeverSample()), nil
	case "parentbased_traceidratio":
		return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio)), nil
	case "always_on":
		return sdktrace.AlwaysSample(), nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(ratio), nil
	}
	return nil, fmt.Errorf("OTEL_TRACES_SAMPLER is always_on, always_off, traceidratio, or one of these behind parentbased_; not %q", name)
}

func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path) //nolint:gosec // the admin's own setting
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", path)
	}
	return roots, nil
}

// client goes to the collector and nowhere else, and never waits for ever.
func (s Settings) client() *http.Client {
	return &http.Client{
		Timeout:       sendTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // headers may be a login
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 1, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12},
		},
	}
}
