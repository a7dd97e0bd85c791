package api

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/control"
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
		page := &listOutput[apiv1.User]{Body: apiv1.List[apiv1.User]{Marker: list.Marker, NextLink: list.NextLink}}
		for _, user := range list.Results {
			if fits, err := page.add(user); err != nil || !fits {
				t.Fatalf("a page of %d results takes no more: %v", len(page.rows), err)
			}
		}
		if err := page.writeBody(&got); err != nil {
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

// row counts how often it is encoded.
type row struct{ encoded *int }

// MarshalJSON implements json.Marshaler.
func (r row) MarshalJSON() ([]byte, error) {
	*r.encoded++
	return []byte(`"row"`), nil
}

func TestAPageEncodesEachResultOnce(t *testing.T) {
	encoded := 0
	page := control.Page[int]{Items: make([]int, 3)}
	out, err := listed(t.Context(), nil, page, func(*int) row { return row{&encoded} })
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := out.writeBody(&got); err != nil {
		t.Fatal(err)
	}
	if want := `{"results":["row","row","row"],"marker":null,"next_link":null}` + "\n"; got.String() != want {
		t.Errorf("writeBody() wrote %s, want %s", got.String(), want)
	}
	if encoded != 3 {
		t.Errorf("three results were encoded %d times", encoded)
	}
}
