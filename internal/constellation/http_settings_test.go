package constellation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestHTTPSettingsFromLabels(t *testing.T) {
	t.Parallel()
	got, err := constellation.RuntimeFromLabels(map[string]string{
		"constellation.protocol": "http", "constellation.response": "native", "constellation.http2": "true",
		"constellation.max-body": "100Mi", "constellation.idle-timeout": "90s",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := constellation.HTTPSettings{Response: constellation.ResponseNative, HTTP2: true, MaxBody: "100Mi", IdleTimeout: "90s"}
	if got.HTTPSettings != want {
		t.Errorf("settings = %+v, want %+v", got.HTTPSettings, want)
	}
	if n, d := got.MaxBodyBytes(), got.Idle(time.Hour); n != 100<<20 || d != 90*time.Second {
		t.Errorf("max-body = %d and idle-timeout = %v, want 100 MiB and 90s", n, d)
	}
	none := constellation.HTTPSettings{}
	if n, d := none.MaxBodyBytes(), none.Idle(time.Hour); n != 0 || d != time.Hour {
		t.Errorf("without settings: max-body = %d and idle-timeout = %v, want 0 and what is given", n, d)
	}
}

func TestHTTPSettingsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ label, value, want string }{
		{"response", "raw", "wrapped or native"},
		{"http2", "yes", "true or false"},
		{"max-body", "0", "max-body is"},
		{"max-body", "-1", "max-body is"},
		{"max-body", "1.5Gi", "max-body is"},
		{"max-body", "100 MB", "max-body is"},
		{"max-body", "99999999999Ti", "max-body is"},
		{"max-body", strings.Repeat("9", 400), "max-body is"},
		{"idle-timeout", "0s", "from 1s to 24h"},
		{"idle-timeout", "90", "from 1s to 24h"},
		{"idle-timeout", "25h", "from 1s to 24h"},
		{"idle-timeout", "-5s", "from 1s to 24h"},
		{"idle-timeout", strings.Repeat("0", 300) + "5s", "from 1s to 24h"},
	}
	for _, test := range tests {
		labels := map[string]string{"constellation.protocol": "http", "constellation." + test.label: test.value}
		if _, err := constellation.RuntimeFromLabels(labels); err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 400 {
			t.Errorf("constellation.%s=%.20s = %v, want %q", test.label, test.value, err, test.want)
		}
	}
	for _, protocol := range []string{"langserver", "pipe"} {
		labels := map[string]string{"constellation.protocol": protocol, "constellation.http2": "true"}
		if _, err := constellation.RuntimeFromLabels(labels); err == nil || !strings.Contains(err.Error(), "are for protocol http") {
			t.Errorf("http2 with %s = %v, want it refused", protocol, err)
		}
	}
}
