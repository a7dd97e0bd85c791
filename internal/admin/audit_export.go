package admin

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/auditstream"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/web/page"
)

// changes compares two audit views value by value, in the order of their
// names; lists and objects are taken apart.
func changes(before, after []byte) []page.Change {
	old, now := flatten(before), flatten(after)
	names := map[string]bool{}
	for name := range old {
		names[name] = true
	}
	for name := range now {
		names[name] = true
	}
	list := make([]page.Change, 0, len(names))
	for name := range names {
		if c := (page.Change{Name: name, Before: old[name], After: now[name]}); c.Before != c.After {
			list = append(list, c)
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// flatten returns a JSON object's values by their paths, as "algorithms 1
// replicas"; what is no JSON is one value.
func flatten(data []byte) map[string]string {
	values := map[string]string{}
	if len(data) == 0 {
		return values
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		values["value"] = string(data)
		return values
	}
	walk("", value, values)
	return values
}

func walk(path string, value any, into map[string]string) {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			walk(strings.TrimSpace(path+" "+strings.ReplaceAll(name, "_", " ")), inner, into)
		}
	case []any:
		for i, inner := range v {
			walk(path+" "+strconv.Itoa(i+1), inner, into)
		}
	case nil:
	case string:
		into[path] = v
	default:
		into[path] = fmt.Sprint(v)
	}
}

// export streams what the log is narrowed to; begin writes what comes before
// the first row. Once bytes are out an error can only break the answer off,
// so that nobody takes half of it for the whole.
func (s *server) export(r *request, kind, contentType string, write func([]constellation.Event) error, end func() error) error {
	filter, q, wrong := auditFilter(r.URL.Query())
	for field, problem := range wrong {
		return constellation.Errorf(constellation.KindMalformed, "%s %q: %s", field, map[string]string{"since": filter.Since, "until": filter.Until}[field], problem)
	}
	q.Marker = ""
	begun := false
	deadline := http.NewResponseController(r.w)
	err := s.control.ExportEvents(r.Context(), r.p, q, func(list []constellation.Event) error {
		// Each page has its own time to be taken: a large log may need long.
		if err := deadline.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		if !begun {
			begun = true
			r.w.Header().Set("Content-Type", contentType)
			r.w.Header().Set("Content-Disposition", `attachment; filename="audit-`+s.now().UTC().Format("2006-01-02T150405Z")+`.`+kind+`"`)
		}
		return write(list)
	})
	if err == nil {
		err = end()
	}
	if err != nil && begun {
		if r.Context().Err() == nil {
			s.log.ErrorContext(r.Context(), "export the audit log", "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	return err
}

var csvHead = []string{"id", "at", "actor", "actor_key_id", "action", "target_kind", "target_id", "target_name", "address", "before", "after"}

func (s *server) exportCSV(r *request) error {
	out := csv.NewWriter(r.w)
	headed := false
	return s.export(r, "csv", "text/csv; charset=utf-8", func(list []constellation.Event) error {
		if !headed {
			headed = true
			if err := out.Write(csvHead); err != nil {
				return err
			}
		}
		for _, e := range list {
			row := []string{
				strconv.FormatInt(e.ID, 10), e.At.UTC().Format(time.RFC3339Nano), e.Actor, e.ActorKeyID, e.Action, e.TargetKind, e.TargetID, e.TargetName,
				e.Address, string(e.Before), string(e.After),
			}
			for i := range row {
				row[i] = noFormula(row[i])
			}
			if err := out.Write(row); err != nil {
				return err
			}
		}
		out.Flush()
		return out.Error()
	}, func() error { return nil })
}

// noFormula keeps a spreadsheet from running what somebody named a satellite:
// a cell that could be a formula is text (OWASP, CSV injection).
func noFormula(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func (s *server) exportJSON(r *request) error {
	separator := "[\n"
	write := func(list []constellation.Event) error {
		if len(list) == 0 {
			_, err := r.w.Write([]byte(separator))
			return err
		}
		for _, e := range list {
			data, err := json.Marshal(auditstream.EventOf(&e))
			if err != nil {
				return fmt.Errorf("encode event %d: %w", e.ID, err)
			}
			if _, err := r.w.Write(append([]byte(separator), data...)); err != nil {
				return err
			}
			separator = ",\n"
		}
		return nil
	}
	return s.export(r, "json", "application/json", write, func() error {
		_, err := r.w.Write([]byte("\n]\n"))
		return err
	})
}
