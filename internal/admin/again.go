package admin

import (
	"net/http"
	"sort"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/web/page"
)

// A form whose session ended while it was filled in is kept: the visitor
// signs in on the page that answers it, and sends it on with one click. What
// was typed travels in the pages alone, as fields whose names have this
// prefix; passwords do not.
const keptPrefix = "kept:"

// keptPath is the field that says where a kept form goes.
const keptPath = keptPrefix

// signInAgain answers a form of nobody with the sign-in page, the form in it.
func (s *server) signInAgain(r *request) error {
	if err := parseForm(r.Request); err != nil {
		return err
	}
	var kept []page.Kept
	kept = append(kept, page.Kept{Name: keptPath, Value: r.URL.RequestURI()})
	for name, values := range r.PostForm {
		if name == "password" || name == "current_password" || name == "new_password" {
			continue
		}
		for _, v := range values {
			kept = append(kept, page.Kept{Name: keptPrefix + name, Value: v})
		}
	}
	sort.SliceStable(kept, func(i, j int) bool { return kept[i].Name < kept[j].Name })
	r.wholePage()
	return r.render(http.StatusUnauthorized, page.LoginPage(s.loginModel(r, page.Login{
		Kept: kept, Problem: "Your session has ended. Sign in again: what you typed is kept",
	})))
}

// keptForm returns the form that came along with a sign-in.
func keptForm(r *http.Request) []page.Kept {
	var kept []page.Kept
	for name, values := range r.PostForm {
		if len(name) < len(keptPrefix) || name[:len(keptPrefix)] != keptPrefix {
			continue
		}
		for _, v := range values {
			kept = append(kept, page.Kept{Name: name, Value: v})
		}
	}
	sort.SliceStable(kept, func(i, j int) bool { return kept[i].Name < kept[j].Name })
	return kept
}

// sendOn asks who has just signed in to send the form that waited.
func (s *server) sendOn(r *request, kept []page.Kept) error {
	m := page.SendOn{Frame: s.frame(r, "Go on")}
	for _, k := range kept {
		if k.Name == keptPath {
			m.Action = ownPath(k.Value)
			continue
		}
		m.Fields = append(m.Fields, page.Kept{Name: k.Name[len(keptPrefix):], Value: k.Value})
	}
	if m.Action == "" {
		return constellation.Errorf(constellation.KindMalformed, "The form that waited cannot be sent on. You are signed in; open its page again.")
	}
	return r.render(http.StatusOK, page.SendOnPage(m))
}
