package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// walk follows next_link from path to the end and gives every name.
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
