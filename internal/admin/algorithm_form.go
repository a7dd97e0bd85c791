package admin

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// showAlgorithmForm is the dialog Add an algorithm, above its draft.
func (s *server) showAlgorithmForm(e editor) error {
	row := e.r.URL.Query().Get("row")
	line := constellation.DraftAlgorithm{Replicas: "1"}
	if i, err := strconv.Atoi(row); err == nil && i >= 0 && i < len(e.draft.Algorithms) {
		line = e.draft.Algorithms[i]
	} else {
		row = ""
	}
	return s.renderAlgorithmForm(e, http.StatusOK, row, line, nil)
}

func (s *server) renderAlgorithmForm(e editor, status int, row string, line constellation.DraftAlgorithm, problems component.Problems) error {
	choices, err := s.choices(e, line.Algorithm)
	if err != nil {
		return err
	}
	if part := fragment(e.r); part == "choices" {
		return render(e.w, e.r, status, page.AlgorithmChoices(choices))
	}
	title := "Add an algorithm"
	if row != "" {
		title = "Change algorithm"
	}
	return s.layered(e, status, page.AlgorithmLayer(page.AlgorithmForm{
		Dialog: component.Dialog{Title: title, Close: e.here("")}, Action: e.here("/algorithm", "row", row), Draft: e.draft.ID, Row: row,
		Line: line, Problems: problems, Choices: choices,
	}))
}

// choices are how what is typed can go on.
func (s *server) choices(e editor, text string) (page.Choices, error) {
	unfinished := strings.HasSuffix(strings.TrimSpace(text), "/")
	if text = constellation.ReadAlgorithm(text); unfinished && text != "" {
		text += "/" // what comes next is asked for
	}
	c := page.Choices{Now: s.now(), Text: text, PushHost: s.host()}
	if ref, err := constellation.ParseAlgorithmRef(text); err == nil {
		_, err := s.control.GetAlgorithmVersion(e.r.Context(), e.p, ref)
		c.Chosen = err == nil
	}
	found, err := s.control.CompleteAlgorithm(e.r.Context(), e.p, text)
	if err != nil {
		return c, err
	}
	c.Owners, c.Algorithms, c.Versions = found.Owners, found.Algorithms, found.Versions
	if text != "" && len(c.Owners)+len(c.Algorithms)+len(c.Versions) == 0 {
		if found, err = s.control.CompleteAlgorithm(e.r.Context(), e.p, ""); err != nil {
			return c, err
		}
		c.Empty = len(found.Owners) == 0
		return c, nil
	}
	c.Empty = len(c.Owners)+len(c.Algorithms)+len(c.Versions) == 0
	return c, nil
}

// putAlgorithm puts a line into the draft, or shows how it can go on: a
// choice fills the field in, and only Add algorithm ends the dialog.
func (s *server) putAlgorithm(e editor) error {
	f := e.r.PostForm
	d, err := s.control.SatelliteDraft(e.r.Context(), e.p, f.Get("draft"))
	switch {
	case err == nil:
		e.draft = *d
	case constellation.KindOf(err) == constellation.KindNotFound: // nothing was kept of it yet, or not any more
		e.draft.ID = f.Get("draft")
	default:
		return err
	}
	row := f.Get("row")
	line := constellation.DraftAlgorithm{
		Algorithm: strings.TrimSpace(f.Get("algorithm")), VanityURL: strings.Trim(strings.TrimSpace(f.Get("vanity_url")), "/"), Replicas: strings.TrimSpace(f.Get("replicas")),
	}
	if pick := f.Get("pick"); pick != "" {
		line.Algorithm = pick
		if line.VanityURL == "" {
			line.VanityURL = suggestVanity(pick)
		}
		return s.renderAlgorithmForm(e, http.StatusOK, row, line, nil)
	}
	if f.Get("do") == "look" {
		return s.renderAlgorithmForm(e, http.StatusOK, row, line, nil)
	}
	at, err := strconv.Atoi(row)
	if err != nil || at < 0 || at >= len(e.draft.Algorithms) {
		at = -1
	}
	line.Algorithm = constellation.ReadAlgorithm(line.Algorithm)
	problem, err := s.checkLine(e, line, at)
	if err != nil {
		return err
	}
	if len(problem) > 0 {
		return s.renderAlgorithmForm(e, http.StatusUnprocessableEntity, row, line, problem)
	}
	if at >= 0 {
		e.draft.Algorithms[at] = line
	} else {
		e.draft.Algorithms = append(e.draft.Algorithms, line)
	}
	if err := s.control.KeepSatelliteDraft(e.r.Context(), e.p, &e.draft); err != nil {
		return err
	}
	redirect(e.w, e.r, e.here(""))
	return nil
}

// suggestVanity is a vanity URL for a whole reference: its owner and name, as
// far as the rules have it.
func suggestVanity(pick string) string {
	ref, err := constellation.ParseAlgorithmRef(pick)
	if err != nil {
		return ""
	}
	owner := strings.NewReplacer("-", "_", ".", "_").Replace(ref.Owner)
	return strings.ToLower(owner + "/" + ref.Name)
}

// checkLine says what is wrong with a line before it goes into the draft; at
// is its place there, -1 for a new one.
func (s *server) checkLine(e editor, line constellation.DraftAlgorithm, at int) (component.Problems, error) {
	problem := component.Problems{}
	if text := constellation.ExplainAlgorithm(line.Algorithm); text != "" {
		problem["algorithm"] = text
	}
	var v constellation.Validation
	constellation.CheckVanityURL(&v, "vanity_url", line.VanityURL)
	if p, ok := problems(v.Err()); ok {
		problem["vanity_url"] = p["vanity_url"]
	}
	if line.VanityURL == "" {
		problem["vanity_url"] = "Under which URL is it called? Two segments or more, such as foo/bar"
	}
	for i, other := range e.draft.Algorithms {
		if i != at && other.VanityURL == line.VanityURL && line.VanityURL != "" {
			problem["vanity_url"] = "The vanity URL " + line.VanityURL + " is that of " + other.Algorithm + " in this satellite already: one URL calls one algorithm. Give another"
		}
	}
	n, err := strconv.Atoi(line.Replicas)
	if err != nil || n < 0 || n > constellation.MaxReplicas {
		problem["replicas"] = "The replica count is a number from 0 to " + strconv.Itoa(constellation.MaxReplicas)
	}
	if problem["algorithm"] != "" {
		return problem, nil
	}
	err = s.control.CheckAlgorithm(e.r.Context(), e.p, control.AlgorithmSpec{Algorithm: line.Algorithm, VanityURL: "a/b", Replicas: 1})
	if p, ok := problems(err); ok {
		problem["algorithm"] = p["algorithms[0].algorithm"]
		return problem, nil
	}
	return problem, err
}
