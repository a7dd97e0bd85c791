package admin

import (
	"encoding/json"
	"testing"
)

func TestWhatChangedIsInWords(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`"Line 1"`:                      "Line 1",
		`"2027-11-26T12:15:01.041774Z"`: "2027-11-26 12:15:01 UTC",
		`"2027"`:                        "2027",
		`3`:                             "3",
		`null`:                          "",
		`[]`:                            "",
		`["fraud/score"]`:               "fraud/score",
		`["a/b","c/d"]`:                 "a/b, c/d",
		`{"per_second":5,"burst":10}`:   "burst 10, per second 5",
		`true`:                          "true",
		`[{"vanity_url":"demo/hello","algorithm":"neo/hello/a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1","replicas":2}]`: "demo/hello: neo/hello/a1a1a1a1a1a1 × 2",
	} {
		if got := describeValue(json.RawMessage(value)); got != want {
			t.Errorf("describeValue(%s) = %q, want %q", value, got, want)
		}
	}
}
