package tracing_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/tracing"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		endpoint string
		env      []string
		on       bool
		want     string // of the error
	}{
		"nothing":              {"", nil, false, ""},
		"a setting":            {"http://collector:4318", nil, true, ""},
		"theirs":               {"", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector/otlp"}, true, ""},
		"theirs, turned off":   {"", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector", "OTEL_SDK_DISABLED", "TRUE"}, false, ""},
		"none":                 {"", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector", "OTEL_TRACES_EXPORTER", "none"}, false, ""},
		"a ratio":              {"http://c", []string{"OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.01"}, true, ""},
		"no ratio":             {"http://c", []string{"OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "2"}, false, "from 0 to 1"},
		"not a number":         {"http://c", []string{"OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "NaN"}, false, "from 0 to 1"},
		"an unknown sampler":   {"http://c", []string{"OTEL_TRACES_SAMPLER", "jaeger_remote"}, false, "OTEL_TRACES_SAMPLER is"},
		"grpc":                 {"http://c", []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, false, "http/protobuf alone"},
		"no URL":               {"collector:4318", nil, false, "--otlp-endpoint: a collector is named by its URL"},
		"theirs is no URL":     {"", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"}, false, "OTEL_EXPORTER_OTLP_ENDPOINT: a collector is"},
		"a login in the URL":   {"http://neo:s3cret@c", nil, false, "OTEL_EXPORTER_OTLP_HEADERS"},
		"headers":              {"http://c", []string{"OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20s3cret, x=y"}, true, ""},
		"no header":            {"http://c", []string{"OTEL_EXPORTER_OTLP_HEADERS", "a=b,s3cret"}, false, "header 2"},
		"a header's line":      {"http://c", []string{"OTEL_EXPORTER_OTLP_HEADERS", "a=s3cret%0d%0ab: c"}, false, "header 1"},
		"no certificate there": {"https://c", []string{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent"}, false, "OTEL_EXPORTER_OTLP_CERTIFICATE"},
	} {
		s, err := tracing.Read(test.endpoint, environment(test.env...))
		switch {
		case test.want == "" && (err != nil || s.On() != test.on):
			t.Errorf("%s: on %v, %v; want %v", name, s.On(), err, test.on)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret")):
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// A trace context of others is taken when it is one, and nothing else of theirs.
func TestFromHeader(t *testing.T) {
	t.Parallel()
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for parent, want := range map[string]string{
		good:                              "4bf92f3577b34da6a3ce929d0e0e4736",
		"":                                "",
		"00-xyz":                          "",
		good + strings.Repeat("0", 1<<16): "",
		"ff" + good[2:]:                   "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "",
		strings.ToUpper(good): "",
	} {
		ctx := tracing.FromHeader(t.Context(), http.Header{"Traceparent": {parent}, "Tracestate": {"vendor=1"}, "Baggage": {"a=b"}})
		if got := tracing.ID(ctx); got != want {
			t.Errorf("FromHeader(%.60q) = %q, want %q", parent, got, want)
		}
	}
	if got := tracing.ID(tracing.FromHeader(t.Context(), http.Header{"Traceparent": {good, good}})); got != "" {
		t.Errorf("of two contexts it took %q", got)
	}
	if got := tracing.Text(tracing.FromText(t.Context(), good)); got != good {
		t.Errorf("Text(FromText) = %q, want %q", got, good)
	}
}

// Without a collector nothing is allocated, whatever is traced.
func TestOffIsFree(t *testing.T) {
	var off *tracing.Tracer
	ctx := context.WithValue(t.Context(), struct{ key string }{"some"}, "value")
	err := context.Canceled
	if n := testing.AllocsPerRun(1000, func() {
		within, span := off.Start(ctx, "request", tracing.Server)
		span.Set("key", "value")
		within, below := tracing.Start(within, "statement", tracing.Client)
		below.SetInt("rows", 7)
		tracing.Of(within).Set("key", "value")
		below.End(err)
		span.End(nil)
		_, _ = tracing.Text(within), tracing.ID(within)
	}); n != 0 {
		t.Errorf("a request that is not traced allocates %v times", n)
	}
}

func BenchmarkOff(b *testing.B) {
	for b.Loop() {
		ctx, span := tracing.Start(b.Context(), "statement", tracing.Client)
		span.Set("key", "value")
		span.End(nil)
		_ = ctx
	}
}

func BenchmarkOn(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	s, err := tracing.Read(server.URL, environment())
	if err != nil {
		b.Fatal(err)
	}
	tracer, err := tracing.New(b.Context(), s, tracing.Options{Service: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer tracer.Close(b.Context())
	for b.Loop() {
		_, span := tracer.Start(b.Context(), "request", tracing.Server)
		span.Set("key", "value")
		span.End(nil)
	}
}
