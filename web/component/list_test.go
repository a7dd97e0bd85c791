package component

import "testing"

func TestPagerSaysWhichLinesOfHowMany(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pager Pager
		want  string
	}{
		{Pager{}, ""},
		{Pager{From: 1, Count: 25, Total: 121, Most: 1000, Next: "x"}, "1–25 of 121"},
		{Pager{From: 26, Count: 25, Total: 121, Most: 1000, Next: "x"}, "26–50 of 121"},
		{Pager{From: 26, Count: 25, Total: 1001, Most: 1000, Next: "x"}, "26–50 of more than 1 000"},
		{Pager{From: 1001, Count: 25, Total: 1001, Most: 1000, Next: "x"}, "1 001–1 025 of more than 1 025"},
		{Pager{From: 1026, Count: 4, Total: 1001, Most: 1000}, "1 026–1 029 of 1 029"},
		{Pager{From: 26, Count: 3, Total: 27, Most: 1000}, "26–28 of 28"}, // one was removed from the first page
	} {
		if got := c.pager.Text(); got != c.want {
			t.Errorf("%+v is %q, want %q", c.pager, got, c.want)
		}
	}
}
