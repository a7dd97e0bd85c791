package config

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/constellation-serving/constellation/internal/constellation"
)

const hash = "0123456789abcdef0123456789abcdef01234567"

func TestParseRoutesReadsItsWholeShape(t *testing.T) {
	got, err := ParseRoutes([]byte(`{"satellite":{"id":"s","name":"north","version":2,"expires_at":"2030-01-02T03:04:05Z"},"launch":{"id":"l"},
	 "mothership":{"url":"https://m"},"from_the_future":{"x":1},
	 "algorithms":[{"vanity_url":"foo/bar","algorithm":"neo/Hello/` + hash + `","protocol":"langserver","port":9999,"path":"/","concurrency":1,
	  "queue":{"limit":100},"timeout_seconds":300,"service":"algo-foo-bar","endpoints":["127.0.0.1:9999"]},
	 {"vanity_url":"foo/http","algorithm":"neo/http/` + hash + `","protocol":"http","service":"algo-foo-http"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Routes{
		Satellite:  Satellite{ID: "s", Name: "north", Version: 2, ExpiresAt: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)},
		Launch:     Launch{ID: "l"},
		Mothership: Mothership{URL: "https://m"},
		Algorithms: []Route{
			{
				VanityURL: "foo/bar", Algorithm: "neo/Hello/" + hash, Protocol: "langserver", Port: 9999, Path: "/", Concurrency: 1,
				Queue: Queue{Limit: 100}, TimeoutSeconds: 300, Service: "algo-foo-bar", Endpoints: []string{"127.0.0.1:9999"},
			},
			{
				VanityURL: "foo/http", Algorithm: "neo/http/" + hash, Protocol: "http", Port: 8080, Path: "/", Concurrency: 16,
				Queue: Queue{Limit: 100}, TimeoutSeconds: 300, Service: "algo-foo-http",
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ParseRoutes (-want +got):\n%s", diff)
	}

	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseRoutes(data)
	if err != nil {
		t.Fatalf("ParseRoutes(Marshal) = %v", err)
	}
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
}

func TestParseRoutesRefuses(t *testing.T) {
	route := func(change string) string {
		fields := map[string]any{}
		base := `{"vanity_url":"foo/bar","algorithm":"neo/hello/` + hash + `","service":"algo-foo-bar"}`
		for _, s := range []string{base, change} {
			if err := json.Unmarshal([]byte(s), &fields); err != nil {
				t.Fatal(err)
			}
		}
		data, err := json.Marshal(map[string]any{"algorithms": []any{fields}})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, test := range []struct{ name, in, want string }{
		{"empty", " \n", "the file is empty"},
		{"cut off", "{\n\"algorithms\":[\n", "line 3 is not JSON"},
		{"wrong type", `{"algorithms":[{"port":"x"}]}`, "port is a string"},
		{"vanity", route(`{"vanity_url":"foo"}`), "two segments"},
		{"algorithm", route(`{"algorithm":"neo/hello"}`), "OWNER/NAME/HASH"},
		{"semantic version", route(`{"semantic_version":"1.2"}`), "1.2.0"},
		{"protocol", route(`{"protocol":"grpc"}`), "grpc"},
		{"port", route(`{"port":70000}`), "65535"},
		{"path", route(`{"path":"x"}`), "starts with '/'"},
		{"path with a query", route(`{"path":"/x?y"}`), "no space"},
		{"concurrency", route(`{"concurrency":-1}`), "concurrency is a number"},
		{"queue", route(`{"queue":{"limit":-1}}`), "queue's limit"},
		{"timeout", route(`{"timeout_seconds":3001}`), "3000"},
		{"no place", route(`{"service":""}`), "needs a service"},
		{"service", route(`{"service":"Bad_Name"}`), "lower-case letters"},
		{"endpoint", route(`{"endpoints":["localhost"]}`), "host:port"},
		{"endpoint with a path", route(`{"endpoints":["http://x:1"]}`), "host:port"},
		{"replicas", route(`{"replicas":1001}`), "0 to 1000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseRoutes([]byte(test.in))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "routes.json: ") {
				t.Errorf("ParseRoutes(%s) = %v, want routes.json: …%s…", test.in, err, test.want)
			}
		})
	}
}

// TestBadPartsSpareTheirNeighbours: what breaks a rule is left out and told,
// and what is beside it is there.
func TestBadPartsSpareTheirNeighbours(t *testing.T) {
	good := `{"vanity_url":"foo/bar","algorithm":"neo/hello/` + hash + `","service":"algo-foo-bar"}`
	routes, err := ParseRoutes([]byte(`{"algorithms":[{"vanity_url":"foo/path","algorithm":"neo/hello/` + hash + `","service":"algo-foo-path","path":"/a b"},
		7,{"vanity_url":"foo/port","port":"x"},` + good + `,` + good + `]}`))
	if err != nil {
		t.Fatalf("ParseRoutes = %v, want the good route", err)
	}
	if len(routes.Algorithms) != 1 || routes.Algorithms[0].VanityURL != "foo/bar" {
		t.Errorf("routes = %+v, want foo/bar", routes.Algorithms)
	}
	wantRefused(t, routes.Refused, map[string]string{
		"foo/path": "no space", "algorithms[1]": "is a number", "foo/port": "port is a string", "foo/bar": "there twice",
	})
	sum := HashKey("secret")
	keys, err := ParseKeys([]byte(`{"keys":[{"id":"short","sha256":"ab"},{"id":"none","sha256":"` + sum + `","algorithms":[]},"x",{"id":"k","sha256":"` + sum + `"},{"id":"k","sha256":"` + sum + `"}]}`))
	if err != nil {
		t.Fatalf("ParseKeys = %v, want the good key", err)
	}
	if len(keys.Keys) != 1 || keys.Keys[0].ID != "k" {
		t.Errorf("keys = %+v, want k", keys.Keys)
	}
	wantRefused(t, keys.Refused, map[string]string{"short": "64 lower-case hex digits", "none": "may call nothing", "keys[2]": "is a string", "k": "there twice"})
}

func wantRefused(t *testing.T, got []Refused, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("refused %+v, want %d parts", got, len(want))
	}
	for _, part := range got {
		if reason, ok := want[part.Name]; !ok || !strings.Contains(part.Reason, reason) {
			t.Errorf("refused %+v, want …%s…", part, reason)
		}
	}
}

func TestParseKeys(t *testing.T) {
	sum := HashKey("secret")
	for _, test := range []struct{ name, in, want string }{
		{"none", `{"keys":[]}`, ""},
		{"one", `{"keys":[{"id":"k","name":"n","sha256":"` + sum + `","expires_at":"2030-01-02T03:04:05Z"}]}`, ""},
		{"empty", ``, "the file is empty"},
		{"no id", `{"keys":[{"sha256":"` + sum + `"}]}`, "needs an id"},
		{"short hash", `{"keys":[{"id":"k","sha256":"ab"}]}`, "64 lower-case hex digits"},
		{"upper case", `{"keys":[{"id":"k","sha256":"` + strings.ToUpper(sum) + `"}]}`, "64 lower-case hex digits"},
		{"limited", `{"keys":[{"id":"k","sha256":"` + sum + `","algorithms":["foo/bar"]}]}`, ""},
		{"limited to nonsense", `{"keys":[{"id":"k","sha256":"` + sum + `","algorithms":["foo"]}]}`, "two segments"},
		{"limited twice", `{"keys":[{"id":"k","sha256":"` + sum + `","algorithms":["foo/bar","foo/bar"]}]}`, "there twice"},
		{"bad date", `{"keys":[{"id":"k","sha256":"` + sum + `","expires_at":"tomorrow"}]}`, "tomorrow"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseKeys([]byte(test.in))
			switch {
			case test.want == "" && err != nil:
				t.Errorf("ParseKeys(%s) = %v, want nil", test.in, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("ParseKeys(%s) = %v, want …%s…", test.in, err, test.want)
			}
		})
	}
}

// Many limited keys are written with each vanity URL once; few as people read
// them. Both say the same.
func TestKeysEncode(t *testing.T) {
	var vanity []string
	for i := range 100 {
		vanity = append(vanity, "foo/"+strings.Repeat("x", 100)+strconv.Itoa(i))
	}
	keys := func(n int) *Keys {
		k := &Keys{Version: 7, Revoked: []string{"gone"}, ExpiresAt: time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)}
		for i := range n {
			k.Keys = append(k.Keys, Key{
				ID: strconv.Itoa(i), Name: "<key> \u0026 " + strconv.Itoa(i), SHA256: HashKey(strconv.Itoa(i)), Algorithms: vanity[:i%101],
				ExpiresAt: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Rate: constellation.KeyRate{PerSecond: 0.5, Burst: 2},
			})
		}
		return k
	}
	for _, test := range []struct{ keys, most int }{{3, 2 << 10}, {1000, 700 << 10}} {
		want := keys(test.keys)
		data, err := want.Encode()
		if err != nil || len(data) > test.most {
			t.Fatalf("%d keys: %d bytes, %v; want at most %d", test.keys, len(data), err, test.most)
		}
		got, err := ParseKeys(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%d keys (-want +got):\n%s", test.keys, diff)
		}
	}
}

// A place that is none must not make a key unlimited.
func TestParseKeysRefusesAPlaceThatIsNone(t *testing.T) {
	for _, place := range []string{"-1", "1", `"foo/bar"`} {
		_, err := ParseKeys([]byte(`{"vanity_urls":["foo/bar"],"keys":[{"id":"k","sha256":"` + HashKey("k") + `","algorithms":[` + place + `]}]}`))
		if err == nil || !strings.HasPrefix(err.Error(), "keys.json: ") {
			t.Errorf("place %s: %v, want it refused", place, err)
		}
	}
}
