package api

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// writes records the size of each write.
type writes struct {
	bytes.Buffer
	most int
}

func (w *writes) Write(p []byte) (int, error) {
	w.most = max(w.most, len(p))
	return w.Buffer.Write(p)
}

func TestAPageIsWrittenResultByResult(t *testing.T) {
	marker, link := "m<1>", "https://mothership.example.com/v1/users?limit=2&marker=m"
	for _, list := range []apiv1.List[apiv1.User]{
		{Results: []apiv1.User{}},
		{Results: []apiv1.User{{Username: "one"}}},
		{Results: []apiv1.User{{Username: "one"}, {Username: strings.Repeat("é<", 500)}, {Username: "three"}}, Marker: &marker, NextLink: &link},
	} {
		var want bytes.Buffer
		if err := marshal(&want, list); err != nil {
			t.Fatal(err)
		}
		var got writes
		if err := (&listOutput[apiv1.User]{Body: list}).writeBody(&got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), got.String()); diff != "" {
			t.Errorf("a page of %d results differs from its encoding:\n%s", len(list.Results), diff)
		}
		longest := 0
		for i := range list.Results {
			var one bytes.Buffer
			if err := marshal(&one, list.Results[i]); err != nil {
				t.Fatal(err)
			}
			longest = max(longest, one.Len())
		}
		if most := longest + 256; got.most > most {
			t.Errorf("a page of %d results is written with %d bytes at a time, want at most %d", len(list.Results), got.most, most)
		}
	}
}
