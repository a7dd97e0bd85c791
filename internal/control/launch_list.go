package control

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

var everyLaunchListing = listing[constellation.ListedLaunch]{
	name: "all_launches", fallback: "name",
	sorts: map[string]sortKey[constellation.ListedLaunch]{
		"name":         byText(foldedName),
		"created_at":   byTime(func(l *constellation.ListedLaunch) time.Time { return l.CreatedAt }),
		"last_seen_at": byMoment(seenKey),
		"behind_since": byMoment(func(l *constellation.ListedLaunch) string { return momentKey(l.BehindSince, future) }),
		"status": {
			of:    func(l *constellation.ListedLaunch) string { return strconv.Itoa(int(l.Health)) + foldedName(l) },
			valid: func(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '3' && validText(s) },
		},
	},
	id: byUUID(func(l *constellation.ListedLaunch) string { return l.ID }),
}

func foldedName(l *constellation.ListedLaunch) string { return constellation.Fold(l.Name) }

// Times before and after all others.
const past, future = "-infinity", "infinity"

// byMoment is byTime for what may be before or after all times.
func byMoment[T any](of func(*T) string) sortKey[T] {
	return sortKey[T]{of: of, valid: func(s string) bool { return s == past || s == future || validTime(s) }}
}

func momentKey(at *time.Time, none string) string {
	if at == nil {
		return none
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// seenKey orders launches by when they were last seen: those that were never, those
// that are silent since a time, those that report.
func seenKey(l *constellation.ListedLaunch) string {
	if l.Health == healthNeverSeen {
		return past
	}
	return momentKey(l.SilentSince, future)
}

// healthNeverSeen is the Health of a launch that was never seen.
const healthNeverSeen = 2

// fewLaunches is up to how many launches a satellite has few: all of them are read.
const fewLaunches = 5000

// ListEveryLaunch returns a page of the launches of all satellites, by name,
// created_at, last_seen_at, behind_since or status, the worst first. For last_seen_at,
// those that report are all seen now; see ByLastReport. A query's Status may be several
// with commas between; one that expands has the calls of the last 24 hours. A key for
// one satellite lists the launches of that.
func (s *Service) ListEveryLaunch(ctx context.Context, p Principal, q ListQuery) (Page[constellation.ListedLaunch], error) {
	var none Page[constellation.ListedLaunch]
	if err := p.may(constellation.RoleViewer, "listing launches"); err != nil {
		return none, err
	}
	list, err := everyLaunchListing.parse(q)
	if err != nil {
		return none, err
	}
	filter, err := s.everywhere(ctx, p, q)
	if err != nil {
		return none, err
	}
	rows, err := s.db.EveryLaunch(ctx, filter, list)
	if err != nil {
		return none, err
	}
	page := everyLaunchListing.page(list, rows)
	if q.Expand {
		if err := s.countCalls(ctx, page.Items); err != nil {
			return none, err
		}
	}
	now, watching := s.now(), s.watchingFor()
	for i := range page.Items {
		page.Items[i].UpdateStatus(now, watching)
	}
	return page, nil
}

// everywhere finds what a query of all launches names.
func (s *Service) everywhere(ctx context.Context, p Principal, q ListQuery) (postgres.RunFilter, error) {
	statuses := q.Status
	q.Status = ""
	f, err := s.running(ctx, p, q)
	var v constellation.Validation
	if statuses != "" {
		for status := range strings.SplitSeq(statuses, ",") {
			status := constellation.LaunchStatus(status)
			if !status.Valid() {
				v.Add("status", "status is one or more of up, degraded, stale, never_seen, with commas between; not %q", clean(statuses, 40))
				break
			}
			f.Statuses = append(f.Statuses, status)
		}
	}
	if q.Owner != "" {
		f.OwnerKey = constellation.Fold(q.Owner)
		exists, errFind := s.db.OwnerExists(ctx, f.OwnerKey)
		err = errors.Join(err, errFind)
		if !exists && errFind == nil && p.SatelliteID == "" {
			v.Add("owner", "there is no owner %q", clean(q.Owner, 64))
		}
	}
	return f, errors.Join(err, s.findSatellite(ctx, p, &v, q.Satellite, &f), v.Err())
}

// findSatellite puts the satellite that text names, by its name or ID, into f; the one
// that the principal is limited to, else.
func (s *Service) findSatellite(ctx context.Context, p Principal, v *constellation.Validation, text string, f *postgres.RunFilter) error {
	id := strings.ToLower(text)
	if text != "" && uuid.Validate(id) != nil {
		var err error
		if id, err = s.db.SatelliteByName(ctx, constellation.Fold(text)); err != nil {
			return err
		}
	}
	if p.SatelliteID != "" {
		f.SatelliteID, f.Few = p.SatelliteID, true
		if text != "" && id != p.SatelliteID {
			f.SatelliteID = uuid.Nil.String() // it does not hear what there is elsewhere
		}
		return nil
	}
	if text == "" {
		return nil
	}
	f.SatelliteID = uuid.Nil.String()
	if id != "" {
		satellite, err := s.db.Satellite(ctx, id)
		switch {
		case constellation.KindOf(err) == constellation.KindNotFound:
		case err != nil:
			return err
		default:
			f.SatelliteID, f.Few = satellite.ID, satellite.LaunchCount <= fewLaunches
			return nil
		}
	}
	v.Add("satellite", "there is no satellite %q", clean(text, MaxQuery))
	return nil
}

// countCalls puts the calls of the last 24 hours into launches.
func (s *Service) countCalls(ctx context.Context, launches []constellation.ListedLaunch) error {
	var ids []string
	for i := range launches {
		if launches[i].FirstSeenAt != nil {
			ids = append(ids, launches[i].ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := s.db.CallsSince(ctx, ids, s.now().Add(-24*time.Hour))
	for _, c := range found {
		if i := slices.IndexFunc(launches, func(l constellation.ListedLaunch) bool { return l.ID == c.LaunchID }); i >= 0 {
			launches[i].Calls, launches[i].Errors = c.Calls, c.Errors
		}
	}
	return err
}

// ByLastReport puts launches of a page by last_seen_at that report, and so are equal in
// the list's order, into that of their last reports. What cuts a page does it before.
func ByLastReport(launches []constellation.ListedLaunch, descending bool) {
	last := func(l *constellation.ListedLaunch) time.Time {
		if seenKey(l) != future || l.LastSeenAt == nil {
			return time.Time{}
		}
		return *l.LastSeenAt
	}
	for from := 0; from < len(launches); {
		to := from
		for to < len(launches) && seenKey(&launches[to]) == future {
			to++
		}
		slices.SortStableFunc(launches[from:to], func(a, b constellation.ListedLaunch) int {
			if descending {
				a, b = b, a
			}
			return cmp.Or(last(&a).Compare(last(&b)), cmp.Compare(a.ID, b.ID))
		})
		from = to + 1
	}
}
