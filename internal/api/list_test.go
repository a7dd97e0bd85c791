package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/control"
)

// walk follows next_link from path to the end and returns every name.
func walk(t *testing.T, w *world, path string) (names []string, pages int) {
	t.Helper()
	for path != "" {
		body := w.call(w.admin, "GET", path, "").want(t, http.StatusOK)
		for _, result := range body["results"].([]any) {
			names = append(names, result.(map[string]any)["name"].(string))
		}
		pages++
		link, _ := body["next_link"].(string)
		marker, _ := body["marker"].(string)
		if (link == "") != (marker == "") {
			t.Fatalf("marker = %q and next_link = %q", marker, link)
		}
		var ok bool
		if path, ok = strings.CutPrefix(link, "https://mothership.example.com"); !ok && link != "" {
			t.Fatalf("next_link = %q", link)
		}
		if pages > 20 {
			t.Fatal("the list does not end")
		}
	}
	return names, pages
}

func TestListsWalkToTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("satellite %d", i)
		w.satellite(name)
		want = append(want, name)
	}
	w.satellite("another & other=thing")

	got, pages := walk(t, w, "/v1/satellites?sort=name&limit=3&q=SATELLITE")
	if !slices.Equal(got, want) || pages != 3 {
		t.Errorf("sort=name gave %v on %d pages, want %v on 3", got, pages, want)
	}
	slices.Reverse(want)
	got, _ = walk(t, w, "/v1/satellites?sort=-created_at&limit=2&q=satellite")
	if !slices.Equal(got, want) {
		t.Errorf("sort=-created_at gave %v, want %v", got, want)
	}
	if got, _ = walk(t, w, "/v1/satellites?limit=1&q=%26%20other%3D"); !slices.Equal(got, []string{"another & other=thing"}) {
		t.Errorf("q with & and = gave %v", got)
	}
	if got, _ = walk(t, w, "/v1/satellites?q=%25"); len(got) != 0 {
		t.Errorf("q=%% gave %v, want nothing", got)
	}
}

func TestEmptyListHasNulls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.call(w.viewer, "GET", "/v1/satellites", "")
	got.want(t, http.StatusOK)
	if body := strings.TrimSpace(string(got.body)); body != `{"results":[],"marker":null,"next_link":null}` {
		t.Errorf("an empty list is %s", body)
	}
}

// TestMarkersThatNoTableHolds: a marker that somebody made by hand is refused
// before it reaches the database.
func TestMarkersThatNoTableHolds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, forged := range []string{
		`{"l":"satellites","s":"-created_at","k":"0000-01-01T00:00:00Z","i":"00000000-0000-0000-0000-000000000000"}`,
		`{"l":"satellites","s":"-created_at","k":"2026-01-01T00:00:00Z","i":"urn:uuid:00000000-0000-0000-0000-000000000000"}`,
		`{"l":"satellites","s":"latest_version","k":"99999999999999999999","i":"00000000-0000-0000-0000-000000000000"}`,
	} {
		sort := strings.Split(forged, `"`)[7]
		w.call(w.viewer, "GET", "/v1/satellites?sort="+sort+"&marker="+base64.RawURLEncoding.EncodeToString([]byte(forged)), "").
			refused(t, http.StatusBadRequest, apiv1.CodeBadMarker, "marker", "is not one of this list")
	}
}

// TestMarkerBelongsToItsQuery turns a page of one search, satellite or filter
// with the marker of another.
func TestMarkerBelongsToItsQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.satellite("edge one"), w.satellite("edge two")
	for i := range 3 {
		w.launch(one, fmt.Sprintf("launch %d", i))
		w.launch(two, fmt.Sprintf("launch %d", i))
	}
	for path, others := range map[string][]string{
		"/v1/satellites?q=edge&limit=1":                 {"/v1/satellites?limit=1", "/v1/satellites?q=edg&limit=1"},
		"/v1/satellites?limit=1":                        {"/v1/satellites?q=edge&limit=1"},
		one + "/launches?limit=1":                       {two + "/launches?limit=1", one + "/launches?q=launch&limit=1"},
		"/v1/events?action=launch.create&limit=1":       {"/v1/events?limit=1", "/v1/events?action=satellite.create&limit=1"},
		"/v1/events?since=2020-01-01T00:00:00Z&limit=1": {"/v1/events?since=2021-01-01T00:00:00Z&limit=1"},
	} {
		marker := w.call(w.admin, "GET", path, "").want(t, http.StatusOK)["marker"].(string)
		w.call(w.admin, "GET", path+"&marker="+marker, "").want(t, http.StatusOK)
		for _, other := range others {
			w.call(w.admin, "GET", other+"&marker="+marker, "").refused(t, http.StatusBadRequest, apiv1.CodeBadMarker, "marker", "is not one of this list")
		}
	}
}

func TestMarkerOfAnotherList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		w.satellite(fmt.Sprint(i))
	}
	marker := w.call(w.admin, "GET", "/v1/satellites?sort=name&limit=1", "").want(t, http.StatusOK)["marker"].(string)
	for _, path := range []string{"/v1/satellites?sort=-created_at&marker=", "/v1/users?marker="} {
		got := w.call(w.admin, "GET", path+marker, "")
		if got.StatusCode == http.StatusInternalServerError {
			t.Errorf("GET %s with another list's marker = 500", path)
		}
	}
}

// TestLookUpByName finds what has a name, whole and in any case, and nothing else.
func TestLookUpByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	edge := w.satellite("Edge Bérlin")
	w.satellite("Edge Bérlin 2")
	w.satellite("50% off_")
	w.launch(edge, "One")
	w.launch(edge, "One more")
	for _, test := range []struct {
		path string
		want []string
	}{
		{"/v1/satellites?name=EDGE+B%C3%89RLIN", []string{"Edge Bérlin"}},
		{"/v1/satellites?name=edge+b%C3%A9rlin&sort=-launches&limit=1", []string{"Edge Bérlin"}},
		{"/v1/satellites?name=Edge+B%C3%A9rlin+2&q=edge", []string{"Edge Bérlin 2"}},
		{"/v1/satellites?name=Edge+B%C3%A9rlin+2&q=other", nil},
		{"/v1/satellites?name=Edge", nil},
		{"/v1/satellites?name=50%25+off_", []string{"50% off_"}},
		{"/v1/satellites?name=50%25+of%25", nil},
		{edge + "/launches?name=one", []string{"One"}},
		{edge + "/launches?name=on", nil},
		{"/v1/algorithms?name=Neo/Hello", []string{"hello"}},
		{"/v1/algorithms?name=hello", nil},
	} {
		if got, _ := walk(t, w, test.path); !slices.Equal(got, test.want) {
			t.Errorf("GET %s = %q, want %q", test.path, got, test.want)
		}
	}
	// A marker of one name is none of another.
	marker := w.call(w.admin, "GET", "/v1/satellites?limit=1", "").want(t, http.StatusOK)["marker"].(string)
	w.call(w.admin, "GET", "/v1/satellites?limit=1&name=a&marker="+marker, "").refused(t, http.StatusBadRequest, apiv1.CodeBadMarker, "marker", "is not one of this list")
	limited := w.key("neo", control.NewKey{Name: "limited", SatelliteID: new(strings.TrimPrefix(edge, "/v1/satellites/"))})
	if list := w.call(limited, "GET", "/v1/satellites?name=50%25+off_", "").want(t, http.StatusOK)["results"].([]any); len(list) != 0 {
		t.Errorf("a key of another satellite finds %v", list)
	}
}
