package constellation_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestFold(t *testing.T) {
	for _, test := range []struct{ a, b string }{
		{"Neo", "nEO"}, {"STRAẞE", "straße"}, {"ΣΊΣΥΦΟΣ", "σίσυφος"}, {"Kelvin", "\u212Aelvin"}, {"🛰 x", "🛰 X"}, {"", ""},
	} {
		if a, b := constellation.Fold(test.a), constellation.Fold(test.b); a != b {
			t.Errorf("Fold(%q) = %q, Fold(%q) = %q, want the same", test.a, a, test.b, b)
		}
	}
	if got := constellation.Fold("Edge_01-B"); got != "edge_01-b" {
		t.Errorf("Fold(Edge_01-B) = %q, want lower case", got)
	}
	if constellation.Fold("a") == constellation.Fold("ä") {
		t.Error("Fold(a) = Fold(ä), want accents kept")
	}
}

func TestCheckVanityURL(t *testing.T) {
	for s, want := range map[string]bool{
		"foo/bar": true, "foo_1/bar-2.x/BAZ": true, "9/9": true,
		"": false, "foo": false, "/foo/bar": false, "foo/": false, "foo//bar": false, "foo-x/bar": false, "foo/../bar": false,
		"foo/.": false, "foo/b r": false, "foo/ü": false, `foo/"`: false, "foo/<script>": false, "foo/bar\n": false,
		"a/" + strings.Repeat("b", 199): false,
	} {
		var v constellation.Validation
		constellation.CheckVanityURL(&v, "vanity_url", s)
		if got := v.Err() == nil; got != want {
			t.Errorf("CheckVanityURL(%q): valid %v (%v), want %v", s, got, v.Err(), want)
		}
	}
}

func TestParseAlgorithmRef(t *testing.T) {
	hash := strings.Repeat("0a", 20)
	ref, err := constellation.ParseAlgorithmRef("Neo/hello-World.2/" + hash)
	if want := (constellation.AlgorithmRef{Owner: "Neo", Name: "hello-World.2", Hash: hash}); err != nil || ref != want {
		t.Errorf("ParseAlgorithmRef = %+v, %v, want %+v", ref, err, want)
	}
	if got := ref.Repository(); got != "neo/hello-world.2" {
		t.Errorf("Repository = %q, want lower case", got)
	}
	for _, bad := range []string{
		"", "neo/hello", "neo/hello/" + hash + "/x", "neo/hello/" + strings.ToUpper(hash), "neo/hello/abc", "../hello/" + hash,
		"satellites/x/" + hash, "Constellation/x/" + hash, "neo/-x/" + hash, "neo/x..y/" + hash, "né/x/" + hash,
		strings.Repeat("a", 64) + "/x/" + hash,
	} {
		if _, err := constellation.ParseAlgorithmRef(bad); constellation.KindOf(err) != constellation.KindInvalid {
			t.Errorf("ParseAlgorithmRef(%q) = %v, want invalid", bad, err)
		}
	}
}

func TestRuntimeFromLabels(t *testing.T) {
	got, err := constellation.RuntimeFromLabels(map[string]string{
		"constellation.protocol": "http", "constellation.port": "9000", "constellation.memory": "2Gi", "maintainer": "x",
	})
	want := constellation.Runtime{Protocol: "http", Port: 9000, Path: "/", Concurrency: 16, Network: "full", Memory: "2Gi"}
	if err != nil || got != want {
		t.Errorf("RuntimeFromLabels = %+v, %v, want %+v", got, err, want)
	}
	_, err = constellation.RuntimeFromLabels(map[string]string{"constellation.prot": "http", "constellation.port": "many"})
	var e *constellation.Error
	if !errors.As(err, &e) {
		t.Fatalf("RuntimeFromLabels = %v, want an Error", err)
	}
	var fields []string
	for _, f := range e.Fields {
		fields = append(fields, f.Field)
	}
	if diff := cmp.Diff([]string{"constellation.port", "constellation.prot"}, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestDiffVersions(t *testing.T) {
	at := func(url string, replicas int) constellation.SatelliteAlgorithm {
		return constellation.SatelliteAlgorithm{VanityURL: url, Replicas: replicas}
	}
	scaled := func(url string, least, most int) constellation.SatelliteAlgorithm {
		a := at(url, 1)
		a.MinReplicas, a.MaxReplicas = &least, most
		return a
	}
	runs := func(name, cron string) constellation.Schedule { return constellation.Schedule{Name: name, Cron: cron} }
	got := constellation.DiffVersions(&constellation.SatelliteVersion{
		Algorithms: []constellation.SatelliteAlgorithm{at("a/a", 1), at("b/b", 1), at("c/c", 1), at("d/d", 1), scaled("g/g", 0, 3), scaled("h/h", 0, 3)},
		Schedules:  []constellation.Schedule{runs("same", "@daily"), runs("other", "@daily"), runs("gone", "@daily")},
	}, &constellation.SatelliteVersion{
		Algorithms: []constellation.SatelliteAlgorithm{at("f/f", 1), at("e/e", 1), at("c/c", 2), at("b/b", 1), scaled("g/g", 0, 3), scaled("h/h", 1, 3)},
		Schedules:  []constellation.Schedule{runs("new", "@hourly"), runs("other", "@hourly"), runs("same", "@daily")},
	})
	want := constellation.VersionDiff{
		Added:   []constellation.SatelliteAlgorithm{at("e/e", 1), at("f/f", 1)},
		Removed: []constellation.SatelliteAlgorithm{at("a/a", 1), at("d/d", 1)},
		Changed: []constellation.AlgorithmChange{{From: at("c/c", 1), To: at("c/c", 2)}, {From: scaled("h/h", 0, 3), To: scaled("h/h", 1, 3)}},
		Schedules: constellation.ScheduleDiff{
			Added: []constellation.Schedule{runs("new", "@hourly")}, Removed: []constellation.Schedule{runs("gone", "@daily")},
			Changed: []constellation.ScheduleChange{{From: runs("other", "@daily"), To: runs("other", "@hourly")}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("DiffVersions (-want +got):\n%s", diff)
	}
	if got.Count() != 9 {
		t.Errorf("Count = %d, want 9", got.Count())
	}
}

func TestErrorShowsMessageAndLogsCause(t *testing.T) {
	cause := errors.New("dial tcp: refused")
	err := fmt.Errorf("list: %w", constellation.Wrap(cause, constellation.KindUnavailable, "try again"))
	if got := constellation.KindOf(err); got != constellation.KindUnavailable {
		t.Errorf("KindOf = %s, want unavailable", got)
	}
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Error = %v, want the cause in the chain", err)
	}
	if constellation.KindOf(cause) != constellation.KindInternal || constellation.KindOf(nil) != "" {
		t.Error("KindOf of others: want internal and nothing")
	}
}
