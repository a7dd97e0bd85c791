package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/cron"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// nextRuns is how many runs of a schedule the panel foretells.
const nextRuns = 5

// schedulesSum names the schedules of a draft. The editor's form carries it in
// place of them, whose inputs may be large; they are in the database.
func schedulesSum(schedules []constellation.Schedule) string {
	if len(schedules) == 0 {
		return ""
	}
	data, _ := json.Marshal(schedules) // strings can always be encoded
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// loadSchedules gives the typed draft its schedules: as they were kept, or those
// of the version that it began with. Others than the form was shown with are
// noted, so that saving can say so.
func (s *server) loadSchedules(r *request) error {
	if kept, err := s.control.SatelliteDraft(r.Context(), r.p, r.draft.ID); err == nil {
		r.draft.Schedules = kept.Schedules
	} else if r.satellite != nil && r.draft.BaseVersion > 0 && r.draft.BaseVersion <= r.satellite.LatestVersion.Number {
		base, err := s.baseOf(r)
		if err != nil {
			return err
		}
		r.draft.Schedules = base.Schedules
	}
	r.schedulesMoved = r.PostForm.Get("schedules_sum") != schedulesSum(r.draft.Schedules)
	return nil
}

// scheduleLines are schedules with what they say in words.
func scheduleLines(schedules []constellation.Schedule) []page.ScheduleLine {
	lines := make([]page.ScheduleLine, len(schedules))
	for i, schedule := range schedules {
		lines[i] = page.ScheduleLine{Schedule: schedule}
		if words, err := cron.Words(schedule.Cron); err == nil {
			lines[i].Words = words
		}
	}
	return lines
}

// openNewSchedule goes on to the dialog Add a schedule.
func (s *server) openNewSchedule(r *request) error {
	return s.keepAnd(r, r.draftURL("/schedule"))
}

// openSchedule goes on to the dialog of one schedule of the draft.
func (s *server) openSchedule(r *request) error {
	i, err := scheduleOf(r)
	if err != nil {
		return err
	}
	return s.keepAnd(r, r.draftURL("/schedule", "row", strconv.Itoa(i)))
}

// removeSchedule takes one schedule out of the draft.
func (s *server) removeSchedule(r *request) error {
	i, err := scheduleOf(r)
	if err != nil {
		return err
	}
	r.draft.Schedules = append(r.draft.Schedules[:i:i], r.draft.Schedules[i+1:]...)
	return s.keepAnd(r, r.draftURL(""))
}

// scheduleOf returns the index of the draft's schedule that the address names.
func scheduleOf(r *request) (int, error) {
	i, err := strconv.Atoi(r.param("index"))
	if err != nil || i < 0 || i >= len(r.draft.Schedules) || r.schedulesMoved {
		return 0, constellation.Errorf(constellation.KindNotFound, "The draft has no such schedule any more. Open its page again.")
	}
	return i, nil
}

// showScheduleForm shows the dialog Add a schedule, above its draft.
func (s *server) showScheduleForm(r *request) error {
	row := r.URL.Query().Get("row")
	schedule := constellation.Schedule{}.WithDefaults()
	schedule.Input = ""
	if len(r.draft.Algorithms) == 1 {
		schedule.VanityURL = r.draft.Algorithms[0].VanityURL
	}
	if i, err := strconv.Atoi(row); err == nil && i >= 0 && i < len(r.draft.Schedules) {
		schedule = r.draft.Schedules[i]
	} else {
		row = ""
	}
	return s.renderScheduleForm(r, http.StatusOK, row, schedule, nil)
}

func (s *server) renderScheduleForm(r *request, status int, row string, schedule constellation.Schedule, problems component.Problems) error {
	runs := s.runsOf(schedule)
	runs.Action = r.draftPath("/schedule/runs")
	take(problems, "name", "schedule") // the editor behind has a name too
	if r.fragment() == "runs" {
		return r.render(status, page.ScheduleRuns(runs))
	}
	m := page.ScheduleForm{
		Dialog: component.Dialog{Title: "Add a schedule", Close: r.draftURL("")}, Action: r.draftURL("/schedule", "row", row), Show: runs.Action, Draft: r.draft.ID, Row: row,
		Schedule: schedule, Problems: problems, Runs: runs,
	}
	if row != "" {
		m.Title = "Change schedule"
	}
	for _, a := range r.draft.Algorithms {
		m.Endpoints = append(m.Endpoints, a.VanityURL)
	}
	return s.layered(r, status, page.ScheduleLayer(m))
}

// runsOf says when a schedule runs next, as far as it can be read.
func (s *server) runsOf(schedule constellation.Schedule) page.NextRuns {
	parsed, err := cron.Parse(schedule.Cron, schedule.TimeZone)
	if err != nil {
		return page.NextRuns{Empty: strings.TrimSpace(schedule.Cron) == ""}
	}
	return page.NextRuns{Words: parsed.Words(), Zone: schedule.TimeZone, Times: parsed.NextN(s.now(), nextRuns)}
}

// typedSchedule returns the schedule that the dialog's form carries, and its row
// in the draft, "" for a new one.
func typedSchedule(r *request) (schedule constellation.Schedule, row string) {
	f := r.PostForm
	text := func(name string) string { return strings.TrimSpace(f.Get(name)) }
	return constellation.Schedule{
		Name: text("schedule"), Cron: text("cron"), TimeZone: text("time_zone"), VanityURL: text("vanity_url"),
		Input: strings.ReplaceAll(f.Get("input"), "\r\n", "\n"), ContentType: text("content_type"), Missed: text("missed"),
	}, f.Get("row")
}

// showRuns shows when what is typed runs next.
func (s *server) showRuns(r *request) error {
	schedule, row := typedSchedule(r)
	if r.fragment() == "layer" { // the dialog's address, not that of the look
		r.w.Header().Set("HX-Push-Url", r.root.seen(r.draftURL("/schedule", "row", row)))
	}
	return s.renderScheduleForm(r, http.StatusOK, row, schedule, nil)
}

// putSchedule puts a schedule into the draft.
func (s *server) putSchedule(r *request) error {
	schedule, row := typedSchedule(r)
	at, err := strconv.Atoi(row)
	if err != nil || at < 0 || at >= len(r.draft.Schedules) {
		at = -1
	}
	whole := schedule.WithDefaults()
	problem := checkSchedule(r, whole, at)
	if err := s.checkScheduled(r, whole, problem); err != nil {
		return err
	}
	if len(problem) > 0 {
		return s.renderScheduleForm(r, http.StatusUnprocessableEntity, row, schedule, problem)
	}
	if at >= 0 {
		r.draft.Schedules[at] = whole
	} else {
		r.draft.Schedules = append(r.draft.Schedules, whole)
	}
	if err := s.control.KeepSatelliteDraft(r.Context(), r.p, &r.draft); err != nil {
		if p, ok := problems(err); ok {
			return s.renderScheduleForm(r, http.StatusUnprocessableEntity, row, schedule, p)
		}
		return err
	}
	r.redirect(r.draftURL(""))
	return nil
}

// checkScheduled adds to problem that what a schedule calls takes no such calls.
func (s *server) checkScheduled(r *request, schedule constellation.Schedule, problem component.Problems) error {
	for _, a := range r.draft.Typed().Algorithms {
		if a.VanityURL != schedule.VanityURL {
			continue
		}
		err := s.control.CheckScheduled(r.Context(), r.p, a, schedule)
		if p, ok := problems(err); ok {
			take(p, "schedules[0].vanity_url", "vanity_url")
			maps.Copy(problem, p)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// checkSchedule says what is wrong with a schedule before it goes into the
// draft; at is its place there, -1 for a new one.
func checkSchedule(r *request, schedule constellation.Schedule, at int) component.Problems {
	var v constellation.Validation
	schedule.Check(&v, "")
	problem := component.Problems{}
	if p, ok := problems(v.Err()); ok {
		for field, message := range p {
			problem[strings.TrimPrefix(field, ".")] = message
		}
	}
	if problem["cron"] == "" {
		if err := cron.Check(schedule.Cron); err != nil {
			problem["cron"] = err.Error()
		}
	}
	if schedule.Name == "" {
		problem["name"] = "What is it called? Letters, digits, '_', '.' and '-', such as nightly-report"
	}
	for i, other := range r.draft.Schedules {
		if i != at && constellation.Fold(other.Name) == constellation.Fold(schedule.Name) && schedule.Name != "" {
			problem["name"] = "The name " + schedule.Name + " is that of another schedule of this satellite already. Give another"
		}
	}
	if schedule.VanityURL == "" {
		problem["vanity_url"] = "Choose what it calls"
	}
	return problem
}
