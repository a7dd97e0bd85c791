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
			got, conflicts := MergeVersions(test.base, test.theirs, test.mine, test.useMine)
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
