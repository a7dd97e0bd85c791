package constellation

import (
	"reflect"
	"strings"
	"testing"
)

func algorithm(vanity string, replicas int) SatelliteAlgorithm {
	return SatelliteAlgorithm{VanityURL: vanity, Replicas: replicas, Algorithm: AlgorithmRef{"neo", "hello", strings.Repeat("0", 40)}}
}

func TestMergeVersions(t *testing.T) {
	t.Parallel()
	a, b, c, d := algorithm("a/a", 1), algorithm("b/b", 1), algorithm("c/c", 1), algorithm("d/d", 1)
	a2, a3 := algorithm("a/a", 2), algorithm("a/a", 3)
	for _, test := range []struct {
		name               string
		base, theirs, mine []SatelliteAlgorithm
		useMine            []string
		want               []SatelliteAlgorithm
		conflicts          []string
	}{
		{"nothing", []SatelliteAlgorithm{a}, []SatelliteAlgorithm{a}, []SatelliteAlgorithm{a}, nil, []SatelliteAlgorithm{a}, nil},
		{"only theirs", []SatelliteAlgorithm{a}, []SatelliteAlgorithm{a2}, []SatelliteAlgorithm{a}, nil, []SatelliteAlgorithm{a2}, nil},
		{"only mine", []SatelliteAlgorithm{a}, []SatelliteAlgorithm{a}, []SatelliteAlgorithm{a2}, nil, []SatelliteAlgorithm{a2}, nil},
		{"each its own", []SatelliteAlgorithm{a, b}, []SatelliteAlgorithm{a2, b, c}, []SatelliteAlgorithm{a, d}, nil, []SatelliteAlgorithm{a2, c, d}, nil},
		{"alike", []SatelliteAlgorithm{a}, []SatelliteAlgorithm{a2, b}, []SatelliteAlgorithm{a2, b}, nil, []SatelliteAlgorithm{a2, b}, nil},
		{"both, theirs stands", []SatelliteAlgorithm{a}, []SatelliteAlgorithm{a2}, []SatelliteAlgorithm{a3}, nil, []SatelliteAlgorithm{a2}, []string{"a/a"}},
		{"both, mine stands", []SatelliteAlgorithm{a}, []SatelliteAlgorithm{a2}, []SatelliteAlgorithm{a3}, []string{"a/a"}, []SatelliteAlgorithm{a3}, []string{"a/a"}},
		{"they changed what I removed", []SatelliteAlgorithm{a}, []SatelliteAlgorithm{a2}, nil, nil, []SatelliteAlgorithm{a2}, []string{"a/a"}},
		{"and it goes", []SatelliteAlgorithm{a}, []SatelliteAlgorithm{a2}, nil, []string{"a/a"}, nil, []string{"a/a"}},
		{"they removed what I changed", []SatelliteAlgorithm{a}, nil, []SatelliteAlgorithm{a3}, nil, nil, []string{"a/a"}},
		{"and it comes back", []SatelliteAlgorithm{a}, nil, []SatelliteAlgorithm{a3}, []string{"a/a"}, []SatelliteAlgorithm{a3}, []string{"a/a"}},
		{"both added the same URL", nil, []SatelliteAlgorithm{a2}, []SatelliteAlgorithm{a3}, nil, []SatelliteAlgorithm{a2}, []string{"a/a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before := append([]SatelliteAlgorithm{}, test.theirs...)
			version := func(list []SatelliteAlgorithm) *SatelliteVersion { return &SatelliteVersion{Algorithms: list} }
			merged, conflicts := MergeVersions(version(test.base), version(test.theirs), version(test.mine), test.useMine)
			got := merged.Algorithms
			if len(got)+len(test.want) > 0 && !reflect.DeepEqual(got, test.want) {
				t.Errorf("merged = %v, want %v", got, test.want)
			}
			var urls []string
			for _, c := range conflicts {
				urls = append(urls, c.VanityURL)
			}
			if !reflect.DeepEqual(urls, test.conflicts) {
				t.Errorf("conflicts = %v, want %v", urls, test.conflicts)
			}
			if len(before) > 0 && !reflect.DeepEqual(before, test.theirs) {
				t.Errorf("theirs became %v, and was %v", test.theirs, before)
			}
		})
	}
}

// Schedules are merged as algorithms are, by their names.
func TestMergeSchedules(t *testing.T) {
	t.Parallel()
	runs := func(name, cron string) Schedule { return Schedule{Name: name, Cron: cron} }
	version := func(list ...Schedule) *SatelliteVersion { return &SatelliteVersion{Schedules: list} }
	base := version(runs("a", "@daily"), runs("b", "@daily"), runs("c", "@daily"))
	theirs := version(runs("a", "@hourly"), runs("b", "@daily"), runs("c", "@hourly"), runs("d", "@daily"))
	mine := version(runs("a", "@daily"), runs("c", "@weekly"), runs("e", "@daily"))
	for _, test := range []struct {
		useMine []string
		want    []Schedule
	}{
		{nil, []Schedule{runs("a", "@hourly"), runs("c", "@hourly"), runs("d", "@daily"), runs("e", "@daily")}},
		{[]string{"c"}, []Schedule{runs("a", "@hourly"), runs("c", "@weekly"), runs("d", "@daily"), runs("e", "@daily")}},
	} {
		got, conflicts := MergeVersions(base, theirs, mine, test.useMine)
		if !reflect.DeepEqual(got.Schedules, test.want) {
			t.Errorf("merged = %v, want %v", got.Schedules, test.want)
		}
		if len(conflicts) != 1 || conflicts[0].Key() != "c" || conflicts[0].TheirSchedule.Cron != "@hourly" || conflicts[0].MySchedule.Cron != "@weekly" {
			t.Errorf("conflicts = %+v, want c", conflicts)
		}
	}
}

func TestReadAlgorithm(t *testing.T) {
	t.Parallel()
	hash := strings.Repeat("0a1B", 10)
	whole := "neo/hello/" + strings.ToLower(hash)
	for text, want := range map[string]string{
		"neo/hello/" + hash:              whole,
		"  neo / hello / " + hash + "\n": whole,
		"algo://neo/hello/" + hash:       whole,
		"https://mothership.example.com/v1/algo/neo/hello/" + hash + "/":                   whole,
		"https://mothership.example.com/v1/algorithms/neo/hello/versions/" + hash + "?x=1": whole,
		"http://127.0.0.1:8080/algorithms/neo/hello/" + hash:                               whole,
		"mothership.example.com:5000/neo/hello:" + hash:                                    whole,
		"neo/hello:" + hash: whole,
		"/neo/hello/":       "neo/hello",
		"neo/hello/1.2.0":   "neo/hello/1.2.0",
		"Neo/Hello":         "Neo/Hello",
		"":                  "",
		hash:                strings.ToLower(hash),
		"%zz":               "%zz",
	} {
		if got := ReadAlgorithm(text); got != want {
			t.Errorf("ReadAlgorithm(%q) = %q, want %q", text, got, want)
		}
		explained := ExplainAlgorithm(ReadAlgorithm(text))
		if (explained == "") != (want == whole) {
			t.Errorf("ExplainAlgorithm of %q = %q", text, explained)
		}
	}
}
