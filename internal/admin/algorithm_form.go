package admin

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// showAlgorithmForm shows the dialog Add an algorithm, above its draft.
func (s *server) showAlgorithmForm(r *request) error {
	row := r.URL.Query().Get("row")
	line := constellation.DraftAlgorithm{Replicas: "1"}
	if i, err := strconv.Atoi(row); err == nil && i >= 0 && i < len(r.draft.Algorithms) {
		line = r.draft.Algorithms[i]
	} else {
		row = ""
	}
	return s.renderAlgorithmForm(r, http.StatusOK, row, line, nil)
}

func (s *server) renderAlgorithmForm(r *request, status int, row string, line constellation.DraftAlgorithm, problems component.Problems) error {
	choices, err := s.choices(r, line.Algorithm)
	if err != nil {
		return err
	}
	if part := r.fragment(); part == "choices" {
		return r.render(status, page.AlgorithmChoices(choices))
	}
	title := "Add an algorithm"
	if row != "" {
		title = "Change algorithm"
	}
	return s.layered(r, status, page.AlgorithmLayer(page.AlgorithmForm{
		Dialog: component.Dialog{Title: title, Close: r.draftURL("")}, Action: r.draftURL("/algorithm", "row", row), Choose: choices.Action, Draft: r.draft.ID, Row: row,
		Line: line, Problems: problems, Choices: choices,
	}))
}

// choices returns how what is typed can go on.
func (s *server) choices(r *request, text string) (page.Choices, error) {
	unfinished := strings.HasSuffix(strings.TrimSpace(text), "/")
	if text = constellation.ReadAlgorithm(text); unfinished && text != "" {
		text += "/" // what comes next is asked for
	}
	c := page.Choices{Action: r.draftPath("/algorithm/choices"), Now: s.now(), Text: text, PushHost: s.registry}
	if ref, err := constellation.ParseAlgorithmRef(text); err == nil {
		_, err := s.control.GetAlgorithmVersion(r.Context(), r.p, ref)
		c.Chosen = err == nil
	}
	found, err := s.control.CompleteAlgorithm(r.Context(), r.p, text)
	if err != nil {
		return c, err
	}
	c.Owners, c.Algorithms, c.Versions = found.Owners, found.Algorithms, found.Versions
	if text != "" && len(c.Owners)+len(c.Algorithms)+len(c.Versions) == 0 {
		if found, err = s.control.CompleteAlgorithm(r.Context(), r.p, ""); err != nil {
			return c, err
		}
		c.Empty = len(found.Owners) == 0
		return c, nil
	}
	c.Empty = len(c.Owners)+len(c.Algorithms)+len(c.Versions) == 0
	return c, nil
}

// typedLine returns the line that the dialog's form carries, and its row in the
// draft, "" for a new one.
func typedLine(r *request) (line constellation.DraftAlgorithm, row string) {
	f := r.PostForm
	return constellation.DraftAlgorithm{
		Algorithm: strings.TrimSpace(f.Get("algorithm")), VanityURL: strings.Trim(strings.TrimSpace(f.Get("vanity_url")), "/"), Replicas: strings.TrimSpace(f.Get("replicas")),
		MinReplicas: strings.TrimSpace(f.Get("min_replicas")), MaxReplicas: strings.TrimSpace(f.Get("max_replicas")),
		Settings: constellation.PodSettingsText{Env: lines(f.Get("env")), EnvFrom: lines(f.Get("env_from")), Volumes: lines(f.Get("volumes"))},
		Weights:  lines(f.Get("weights")),
	}, f.Get("row")
}

// lines is a text as browsers send it, with the line ends that it was shown with.
func lines(text string) string { return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) }

// showChoices shows how what is typed can go on, after a choice was made or
// without one: a choice fills the field in.
func (s *server) showChoices(r *request) error {
	line, row := typedLine(r)
	if pick := r.PostForm.Get("pick"); pick != "" {
		line.Algorithm = pick
		if line.VanityURL == "" {
			line.VanityURL = suggestVanity(pick)
		}
	}
	if r.fragment() == "layer" { // the dialog's address, not that of the choice
		r.w.Header().Set("HX-Push-Url", r.root.seen(r.draftURL("/algorithm", "row", row)))
	}
	return s.renderAlgorithmForm(r, http.StatusOK, row, line, nil)
}

// putAlgorithm puts a line into the draft.
func (s *server) putAlgorithm(r *request) error {
	line, row := typedLine(r)
	at, err := strconv.Atoi(row)
	if err != nil || at < 0 || at >= len(r.draft.Algorithms) {
		at = -1
	}
	line.Algorithm = constellation.ReadAlgorithm(line.Algorithm)
	problem, err := s.checkLine(r, line, at)
	if err != nil {
		return err
	}
	if len(problem) > 0 {
		return s.renderAlgorithmForm(r, http.StatusUnprocessableEntity, row, line, problem)
	}
	if at >= 0 {
		if before := r.draft.Algorithms[at]; before.Algorithm == line.Algorithm {
			line.RuntimeRevision = before.RuntimeRevision
		}
		r.draft.Algorithms[at] = line
	} else {
		r.draft.Algorithms = append(r.draft.Algorithms, line)
	}
	if err := s.control.KeepSatelliteDraft(r.Context(), r.p, &r.draft); err != nil {
		return err
	}
	r.redirect(r.draftURL(""))
	return nil
}

// suggestVanity returns a vanity URL for a whole reference: its owner and name, as
// far as the rules have it.
func suggestVanity(pick string) string {
	ref, err := constellation.ParseAlgorithmRef(pick)
	if err != nil {
		return ""
	}
	owner := strings.NewReplacer("-", "_", ".", "_").Replace(ref.Owner)
	return strings.ToLower(owner + "/" + ref.Name)
}

// checkTyped says what is wrong with a line's numbers of replicas and settings.
func checkTyped(line constellation.DraftAlgorithm, problem component.Problems) {
	spec, unreadable := draftSpec(constellation.SatelliteDraft{Algorithms: []constellation.DraftAlgorithm{line}})
	for field, message := range unreadable {
		problem[strings.TrimPrefix(field, "algorithms[0].")] = message
	}
	if len(unreadable) > 0 {
		return
	}
	var v constellation.Validation
	a := spec.Algorithms[0]
	constellation.Scale{Replicas: a.Replicas, MinReplicas: a.MinReplicas, MaxReplicas: a.MaxReplicas}.Check(&v, "")
	a.Settings.Check(&v, "")
	paths := make([]string, len(a.Weights))
	for i, w := range a.Weights {
		paths[i] = w.Path
	}
	constellation.CheckWeightsPaths(&v, func(i int) string { return "weights[" + strconv.Itoa(i) + "]" }, paths, a.Settings.Volumes)
	if p, ok := problems(v.Err()); ok {
		maps.Copy(problem, ofParts(p))
	}
}

// ofParts puts what is wrong inside of a part of the settings, such as env.LEVEL,
// to the part, whose field of the form has it.
func ofParts(p component.Problems) component.Problems {
	parts := component.Problems{}
	for _, field := range slices.Sorted(maps.Keys(p)) {
		part := field
		for _, of := range []string{"env_from", "env", "volumes", "weights"} {
			if strings.HasPrefix(field, of+".") || strings.HasPrefix(field, of+"[") {
				part = of
				break
			}
		}
		if parts[part] != "" {
			parts[part] += "; "
		}
		parts[part] += p[field]
	}
	return parts
}

// checkLine says what is wrong with a line before it goes into the draft; at
// is its place there, -1 for a new one.
func (s *server) checkLine(r *request, line constellation.DraftAlgorithm, at int) (component.Problems, error) {
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
	for i, other := range r.draft.Algorithms {
		if i != at && other.VanityURL == line.VanityURL && line.VanityURL != "" {
			problem["vanity_url"] = "The vanity URL " + line.VanityURL + " is that of " + other.Algorithm + " in this satellite already: one URL calls one algorithm. Give another"
		}
	}
	checkTyped(line, problem)
	if problem["algorithm"] != "" {
		return problem, nil
	}
	err := s.control.CheckAlgorithm(r.Context(), r.p, line.Algorithm)
	if p, ok := problems(err); ok {
		take(p, "algorithms[0].algorithm", "algorithm")
		maps.Copy(p, problem)
		return p, nil
	}
	return problem, err
}
