package control

import "testing"

// TestNestedListsAreReadUntilTheirBytesAreSpent: what is not shown is not read,
// but for the rows that are read at once to find out.
func TestNestedListsAreReadUntilTheirBytesAreSpent(t *testing.T) {
	const rows, each = 500, maxNested / 4
	page, read := Page[int]{Items: make([]int, rows), after: func(*int) string { return "here" }}, 0
	err := fill(&page, func(some []int) error { read += len(some); return nil }, func(*int) int { return each })
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Items) != 4 || read != filledOnce || page.Marker == "" {
		t.Errorf("a page of %d rows was filled for %d with marker %q, want 4 for %d and a marker", len(page.Items), read, page.Marker, filledOnce)
	}
	huge := Page[int]{Items: make([]int, 3), after: func(*int) string { return "here" }}
	if err := fill(&huge, func([]int) error { return nil }, func(*int) int { return 2 * maxNested }); err != nil || len(huge.Items) != 1 {
		t.Errorf("a page of rows that are too large each has %d rows, %v, want 1", len(huge.Items), err)
	}
}
