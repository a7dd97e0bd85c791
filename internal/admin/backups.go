package admin

import (
	"net/http"

	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) listBackups(r *request) error {
	l := readList(r, page.BackupsURL, "-started_at")
	found, err := s.control.ListBackups(r.Context(), r.p, l.query())
	if err != nil {
		return err
	}
	b, err := s.control.Backups(r.Context(), r.p)
	if err != nil {
		return err
	}
	m := page.Backups{
		Frame: s.frame(r, "Backups"), Query: l.q, Sort: l.sort, Orders: l.orders("started_at", "bytes"), Backups: found.Items, Pager: pagerOf(l, found),
		Target: b.Plan.Target, Schedule: b.Plan.Schedule, Keep: b.Plan.Keep, Next: b.Next, Last: b.Last, Failed: b.Failed,
	}
	m.Frame.Section = "system"
	return r.render(http.StatusOK, page.BackupsPage(m))
}
