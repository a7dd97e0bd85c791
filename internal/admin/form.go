package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
)

// How a form is handled, everywhere alike:
//
//   - GET renders it with a token from newToken.
//   - POST takes its values into the page's typed model, makes its one
//     control call inside once, and ends with finish: a redirect with a flash.
//   - What the visitor can mend is shown by problems beside the fields, on the
//     same page with everything typed; other errors are returned.

// newToken returns the token of one rendering of a form, so that sending it
// twice happens once.
func newToken() string { return rand.Text() }

// outcome is how a form ended. Secret is shown once, on the page of a POST.
type outcome struct {
	Target string          `json:"target"`
	Flash  component.Flash `json:"flash"`
	Secret string          `json:"secret,omitempty"`
}

// once runs do with a Service of one transaction; the same form sent again
// gets the outcome of the first time.
func (s *server) once(r *request, do func(*control.Service) (outcome, error)) (outcome, error) {
	token := r.PostForm.Get("token")
	if token == "" || len(token) > 64 {
		return outcome{}, constellation.Errorf(constellation.KindMalformed, "The form came without its token. Open the page again.")
	}
	request := control.IdempotentRequest{
		Key: "form-" + token, Method: r.Method, Path: r.URL.Path, BodyHash: sha256.Sum256([]byte(r.PostForm.Encode())),
	}
	var fresh outcome
	answer, replayed, err := s.control.Idempotent(r.Context(), r.p, request, func(service *control.Service) (*control.StoredResponse, error) {
		var err error
		if fresh, err = do(service); err != nil {
			return nil, err
		}
		body, err := json.Marshal(fresh) //nolint:gosec // Idempotent seals it
		if err != nil {
			return nil, fmt.Errorf("encode a form's outcome: %w", err)
		}
		return &control.StoredResponse{Status: http.StatusSeeOther, Body: body}, nil
	})
	switch {
	case errors.Is(err, control.ErrKeyReused):
		return outcome{}, constellation.Errorf(constellation.KindConflict, "This form was sent already, with other values. Open the page again to see how it is now.")
	case err != nil || !replayed:
		return fresh, err
	}
	var before outcome
	if err := json.Unmarshal(answer.Body, &before); err != nil {
		return outcome{}, fmt.Errorf("read a form's outcome: %w", err)
	}
	return before, nil
}

// act does what a button asks for, once, and shows how that ended.
func (s *server) act(r *request, do func(*control.Service) (outcome, error)) error {
	o, err := s.once(r, do)
	if err != nil {
		return err
	}
	return r.finish(o)
}

// submit is act of a form that is shown again with what is wrong in it.
func (s *server) submit(r *request, do func(*control.Service) (outcome, error), again func(component.Problems) error) error {
	o, err := s.once(r, do)
	if shown, ok := problems(err); ok {
		return again(shown)
	}
	if err != nil {
		return err
	}
	return r.finish(o)
}

// finish goes to where a form's outcome is seen, with a line that says it.
func (r *request) finish(o outcome) error {
	r.setFlash(o.Flash)
	r.redirect(o.Target)
	return nil
}

// problems returns what a visitor can mend of an error, and its HTTP status; ok is
// false when it is not for a form to show.
func problems(err error) (p component.Problems, ok bool) {
	var e *constellation.Error
	if !errors.As(err, &e) {
		return nil, false
	}
	switch e.Kind {
	case constellation.KindInvalid, constellation.KindConflict, constellation.KindMalformed, constellation.KindPreconditionFailed:
	default:
		return nil, false
	}
	p = component.Problems{}
	for _, f := range e.Fields {
		if p[f.Field] == "" {
			p[f.Field] = f.Message
		}
	}
	if len(p) == 0 {
		p[""] = e.Message
	}
	return p, true
}

// take renames the problem of a field to what the form calls it.
func take(p component.Problems, from, to string) {
	if p[from] != "" {
		p[to] = p[from]
		delete(p, from)
	}
}

const flashCookie = "constellation_flash"

// setFlash keeps a line for the next page.
func (r *request) setFlash(f component.Flash) {
	if f.Text == "" {
		return
	}
	data, err := json.Marshal(f)
	if err != nil {
		return // three strings; and nothing is lost but a line
	}
	r.setCookie(&http.Cookie{Name: flashCookie, Value: base64.RawURLEncoding.EncodeToString(data), MaxAge: 60})
}
