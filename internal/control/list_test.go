package control_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestPagesTurnBothWays walks a list to its end and back, in both orders: the
// same pages, none skipped, each with how many there are.
func TestPagesTurnBothWays(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i := range 7 {
		if _, err := h.CreateAccount(t.Context(), control.Shell(), control.NewAccount{Username: fmt.Sprintf("walker-%d", i), Role: constellation.RoleViewer}); err != nil {
			t.Fatal(err)
		}
	}
	for _, sort := range []string{"name", "-name", "created_at"} {
		q := control.ListQuery{Q: "walker", Sort: sort, Limit: 3, Count: true}
		var pages [][]string
		turn := func(marker string) control.Page[constellation.Account] {
			t.Helper()
			q.Marker = marker
			found, err := h.ListAccounts(t.Context(), control.Shell(), "", q)
			if err != nil {
				t.Fatal(err)
			}
			if found.Total != 7 {
				t.Errorf("in the order %s there are %d, want 7", sort, found.Total)
			}
			var names []string
			for _, a := range found.Items {
				names = append(names, a.Username)
			}
			pages = append(pages, names)
			return found
		}
		first := turn("")
		second := turn(first.Marker)
		third := turn(second.Marker)
		if first.Back != "" || third.Marker != "" {
			t.Errorf("in the order %s there is a page before the first, or one after the last", sort)
		}
		secondAgain := turn(third.Back)
		firstAgain := turn(secondAgain.Back)
		if firstAgain.Back != "" {
			t.Errorf("in the order %s there is a page before the first, on the way back", sort)
		}
		turn(firstAgain.Marker)
		for i, same := range []int{0, 1, 2, 1, 0, 1} {
			if !slices.Equal(pages[i], pages[same]) {
				t.Errorf("in the order %s, page %d on the way is %v, want %v", sort, i, pages[i], pages[same])
			}
		}
		if len(pages[0]) != 3 || len(pages[2]) != 1 {
			t.Errorf("in the order %s the pages are %v", sort, pages)
		}
	}
}
