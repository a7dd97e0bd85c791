package config

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
)

const routeForQueue = `{"vanity_url":"foo/bar","algorithm":"neo/hello/` + hash + `","service":"algo-foo-bar"`

func TestParseRoutesReadsQueueAndScale(t *testing.T) {
	got, err := ParseRoutes([]byte(`{"queue":{"mode":"cluster","replicas":3,"keep_seconds":60,"share_percent":30,"size_bytes":1073741824,"storage":"persistent","retry_timeouts":true,
	 "servers":["queue-0.queue:4222"],"newer":1},"callbacks":{"allow":["hooks.example","10.0.0.0/8"]},
	 "algorithms":[` + routeForQueue + `,"replicas":2,"deployment":"algo-foo-bar","min_replicas":0,"max_replicas":9,
	 "schedules":[{"name":"nightly","cron":"0 3 * * *","time_zone":"Europe/Berlin","vanity_url":"foo/bar","input":"1","content_type":"application/json","missed":"once"}]}]}`))
	if err != nil || len(got.Refused) > 0 {
		t.Fatalf("ParseRoutes = %+v, %v", got, err)
	}
	queue := &QueueSettings{Mode: QueueCluster, Replicas: 3, KeepSeconds: 60, SharePercent: 30, SizeBytes: 1 << 30, Storage: StoragePersistent, Servers: []string{"queue-0.queue:4222"}, RetryTimeouts: true}
	if diff := cmp.Diff(queue, got.Queue); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Callbacks{Allow: []string{"hooks.example", "10.0.0.0/8"}}, got.Callbacks); diff != "" {
		t.Errorf("callbacks (-want +got):\n%s", diff)
	}
	route := got.Algorithms[0]
	least, most := route.Bounds()
	if !route.Scaled() || least != 0 || most != 9 || route.Replicas != 2 || route.Deployment != "algo-foo-bar" || len(route.Schedules) != 1 || route.Schedules[0].TimeZone != "Europe/Berlin" {
		t.Errorf("route = %+v", route)
	}
	if !got.Queue.On() || got.Queue.Keep() != time.Minute {
		t.Errorf("On, Keep = %v, %v", got.Queue.On(), got.Queue.Keep())
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

// Files of an engine that knew no queue, and settings that say no more than a mode.
func TestQueueDefaults(t *testing.T) {
	for in, want := range map[string]*QueueSettings{
		``:                         nil,
		`"queue":null,`:            nil,
		`"queue":{},`:              {Mode: QueueOff},
		`"queue":{"mode":"edge"},`: {Mode: QueueEdge, Replicas: 1, KeepSeconds: 86400, SharePercent: 20, SizeBytes: 10 << 30, Storage: StorageEphemeral},
		`"queue":{"mode":"cluster","servers":["q:1"]},`: {Mode: QueueCluster, Replicas: 3, KeepSeconds: 86400, SharePercent: 20, SizeBytes: 10 << 30, Storage: StorageEphemeral, Servers: []string{"q:1"}},
	} {
		got, err := ParseRoutes([]byte(`{` + in + `"algorithms":[` + routeForQueue + `}]}`))
		if err != nil {
			t.Fatalf("ParseRoutes(%s) = %v", in, err)
		}
		if diff := cmp.Diff(want, got.Queue); diff != "" {
			t.Errorf("queue of %s (-want +got):\n%s", in, diff)
		}
		if got.Queue.On() != (want != nil && want.Mode != QueueOff) {
			t.Errorf("On of %s = %v", in, got.Queue.On())
		}
		route := got.Algorithms[0]
		if least, most := route.Bounds(); route.Scaled() || least != 1 || most != 0 {
			t.Errorf("bounds of a route without any: %d to %d, scaled %v", least, most, route.Scaled())
		}
	}
}

// A bad queue and bad callbacks leave the algorithm served.
func TestBadQueueSparesTheAlgorithms(t *testing.T) {
	for in, want := range map[string]map[string]string{
		`"queue":7`:                                   {"queue": "is a number"},
		`"queue":{"mode":"sqs"}`:                      {"queue": `not "sqs"`},
		`"queue":{"mode":"cluster"}`:                  {"queue": "addresses of its nodes"},
		`"queue":{"mode":"edge","replicas":2}`:        {"queue": "1 or 3"},
		`"queue":{"mode":"edge","keep_seconds":1}`:    {"queue": "keep_seconds"},
		`"queue":{"mode":"edge","share_percent":100}`: {"queue": "from 1 to 90"},
		`"queue":{"mode":"edge","size_bytes":1}`:      {"queue": "size_bytes"},
		`"queue":{"mode":"edge","storage":"tape"}`:    {"queue": `not "tape"`},
		`"queue":{"mode":"edge","servers":["q"]}`:     {"queue": "host:port"},
		`"callbacks":{"allow":["http://x"]}`:          {"callbacks": "address ranges"},
		`"callbacks":{"allow":"any"}`:                 {"callbacks": "must be a"},
		`"callbacks":{"allow":["0x7f.1"]}`:            {"callbacks": "address ranges"},
	} {
		got, err := ParseRoutes([]byte(`{` + in + `,"algorithms":[` + routeForQueue + `}]}`))
		if err != nil {
			t.Fatalf("ParseRoutes(%s) = %v", in, err)
		}
		if len(got.Algorithms) != 1 || got.Queue.On() || len(got.Callbacks.Allow) > 0 {
			t.Errorf("%s: %+v, want the algorithm alone", in, got)
		}
		wantRefused(t, got.Refused, want)
	}
}

func TestBadSchedulesSpareTheirAlgorithm(t *testing.T) {
	got, err := ParseRoutes([]byte(`{"algorithms":[` + routeForQueue + `,"schedules":[7,{"name":"a"},{"name":"b","cron":"@daily","vanity_url":"x/y"},{"name":"c","cron":"@daily"},
	   {"name":"c","cron":"@daily"},{"name":"d","cron":"@daily","time_zone":"Mars/Base"}]},
	  {"vanity_url":"foo/other","algorithm":"neo/hello/` + hash + `","service":"algo-foo-other","schedules":1}]}`))
	if err != nil || len(got.Algorithms) != 2 || len(got.Algorithms[0].Schedules) != 1 || got.Algorithms[0].Schedules[0].Name != "c" {
		t.Fatalf("ParseRoutes = %+v, %v; want both algorithms, and one schedule", got, err)
	}
	if zone := got.Algorithms[0].Schedules[0].TimeZone; zone != constellation.DefaultTimeZone {
		t.Errorf("time zone %q, want the default", zone)
	}
	wantRefused(t, got.Refused, map[string]string{
		"foo/bar schedule schedules[0]": "is a number", "foo/bar schedule a": "cron expression", "foo/bar schedule b": "names x/y",
		"foo/bar schedule c": "there twice", "foo/bar schedule d": "Mars/Base", "foo/other schedules": "a list",
	})
}

func TestRouteScaleIsChecked(t *testing.T) {
	for change, want := range map[string]string{
		`"max_replicas":1001`:                    "1 to 1000",
		`"max_replicas":-1`:                      "1 to 1000",
		`"max_replicas":2,"min_replicas":3`:      "the least is above the most",
		`"max_replicas":2,"min_replicas":-1`:     "0 to 1000",
		`"max_replicas":2,"deployment":"Bad_It"`: "lower-case letters",
	} {
		if _, err := ParseRoutes([]byte(`{"algorithms":[` + routeForQueue + `,` + change + `}]}`)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseRoutes(%s) = %v, want …%s…", change, err, want)
		}
	}
}

func TestCallbackTarget(t *testing.T) {
	for in, want := range map[string]string{
		"Hooks.Example": "hooks.example", " 10.1.2.3/8": "10.0.0.0/8", "10.1.2.3": "10.1.2.3/32", "fd00::1": "fd00::1/128", "localhost": "localhost",
		"::ffff:10.0.0.1": "10.0.0.1/32",
		"":                "", "http://x": "", "x:80": "", "*.example": "", "10.0.0.0/33": "", "010.1": "", "host_name": "", "a..b": "", strings.Repeat("a.", 127) + "bb": "",
	} {
		if got, err := CallbackTarget(in); got != want || (want == "") != (err != nil) {
			t.Errorf("CallbackTarget(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestValidateHoldsTheQueueToTheRules(t *testing.T) {
	routes := Routes{Queue: &QueueSettings{Mode: QueueCluster}, Callbacks: Callbacks{Allow: []string{"a b"}}}
	err := routes.Validate()
	if err == nil || constellation.KindOf(err) != constellation.KindInvalid || !strings.Contains(err.Error(), "queue: ") || !strings.Contains(err.Error(), "callbacks: ") {
		t.Errorf("Validate = %v, want both named", err)
	}
}
