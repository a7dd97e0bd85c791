package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// workOf returns what a report says of calls that outlive their callers.
func (s *server) workOf(r *request, report *constellation.LaunchReport) page.LaunchWork {
	m := page.LaunchWork{Launch: r.launch, Letters: r.launchURL("dead-letters"), Now: s.now()}
	if report != nil {
		m.Work, m.Commands = report.Work, report.Commands
	}
	return m
}

// showDeadLetters lists the calls that the launch gave up.
func (s *server) showDeadLetters(r *request) error {
	return s.renderDeadLetters(r, http.StatusOK, "")
}

func (s *server) renderDeadLetters(r *request, status int, whyNot string) error {
	_, report, err := s.control.GetLaunchReport(r.Context(), r.p, r.satellite.ID, r.launch.ID)
	if err != nil {
		return err
	}
	here := r.launchURL("dead-letters")
	l := readList(r, here, "-at")
	m := page.DeadLetters{
		Dialog: component.Dialog{Title: "Dead letters of " + r.launch.Name, Close: r.launchURL(), Wide: true}, LaunchWork: s.workOf(r, report), URL: here,
		Query: l.q, Sort: l.sort, Orders: l.orders("request", "endpoint", "attempts", "at"), WhyNot: whyNot, Frame: s.frame(r, "Dead letters"), Selected: map[string]bool{},
	}
	if m.WhyNot == "" {
		m.WhyNot = notAsked(r, m.Work.Queue)
	}
	m.MayAsk = r.p.Role.Rank() >= constellation.RoleOperator.Rank() && notAsked(r, m.Work.Queue) == ""
	for _, id := range r.URL.Query()["id"] {
		m.Selected[id] = true
	}
	m.Told = len(m.Work.DeadLetters)
	if m.Total = int64(m.Told); m.Work.Queue != nil {
		m.Total = max(m.Total, m.Work.Queue.Dead)
	}
	m.Lines = deadLetterLines(m.LaunchWork, l)
	return s.showLaunches(r, m.Title, status, page.DeadLettersLayer(m))
}

// notAsked says why nothing can be asked of the launch, "" when it can.
func notAsked(r *request, queue *constellation.QueueState) string {
	switch {
	case r.launch.Status == constellation.LaunchNeverSeen || r.launch.Status == constellation.LaunchStale:
		return "This launch instance does not report, so it cannot be asked from here. On its machine: algo-install satellite " + r.satellite.ID + " " + r.launch.ID + " queue dead list"
	case queue == nil || queue.State == constellation.QueueOff:
		return "This launch instance has no queue."
	}
	return ""
}

// deadLetterLines are the dead letters that a list finds, in its order.
func deadLetterLines(m page.LaunchWork, l list) []page.DeadLetterLine {
	var lines []page.DeadLetterLine
	needle := constellation.Fold(strings.TrimSpace(l.q))
	for _, letter := range m.Work.DeadLetters {
		if !strings.Contains(constellation.Fold(letter.RequestID+" "+letter.VanityURL+" "+letter.Reason), needle) {
			continue
		}
		line := page.DeadLetterLine{DeadLetter: letter}
		for i := range m.Commands {
			if c := &m.Commands[i]; c.Waits(m.Now) && slices.Contains(c.RequestIDs, letter.RequestID) {
				line.Asked = c
			}
		}
		lines = append(lines, line)
	}
	column, descending := strings.CutPrefix(l.sort, "-")
	slices.SortStableFunc(lines, func(a, b page.DeadLetterLine) int {
		if descending {
			a, b = b, a
		}
		switch column {
		case "request":
			return strings.Compare(a.RequestID, b.RequestID)
		case "endpoint":
			return strings.Compare(a.VanityURL, b.VanityURL)
		case "attempts":
			return cmp.Compare(a.Attempts, b.Attempts)
		}
		return a.At.Compare(b.At)
	})
	return lines
}

// askDecision asks before dead letters are retried or dropped.
func (s *server) askDecision(r *request) error {
	q := r.URL.Query()
	if len(q["id"]) == 0 {
		return s.renderDeadLetters(r, http.StatusUnprocessableEntity, "Choose the calls first: tick them below.")
	}
	return s.renderDecision(r, http.StatusOK, q.Get("action"), q["id"], nil)
}

func (s *server) renderDecision(r *request, status int, action string, ids []string, problems component.Problems) error {
	m := page.DeadLetterDecision{
		Confirm: component.Confirm{
			Dialog: component.Dialog{Title: "Retry " + component.Count(len(ids), "call") + "?", Close: r.launchURL("dead-letters")},
			Action: r.launchURL("dead-letters", "decide"), Token: newToken(), Does: "Retry", Harmless: true, Problems: problems,
		},
		Launch: r.launch.Name, Choice: constellation.CommandRetry, IDs: ids, Seconds: max(r.launch.ReportSeconds, 1),
	}
	if action == constellation.CommandDrop {
		m.Title, m.Does, m.Harmless, m.Choice = "Drop "+component.Count(len(ids), "call")+"?", "Drop", false, action
	}
	return s.showLaunches(r, m.Title, status, page.DecideLayer(m))
}

// decide asks the launch to retry or drop dead letters.
func (s *server) decide(r *request) error {
	action, ids := r.PostForm.Get("action"), r.PostForm["id"]
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		command, err := service.AskDeadLetters(r.Context(), r.p, r.satellite.ID, r.launch.ID, action, ids)
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: r.launchURL("dead-letters"), Flash: component.Flash{
			Text: "Asked to " + command.Action + " " + component.Count(len(ids), "call") + ". The launch instance hears of it with its next heartbeat.",
		}}, nil
	})
	if p, ok := problems(err); ok {
		return s.renderDecision(r, httpserve.Status(err), action, ids, component.Problems{"": firstOf(p)})
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}

// firstOf returns one of the problems of a form whose fields nobody sees.
func firstOf(p component.Problems) string {
	for _, message := range p {
		return message
	}
	return ""
}
