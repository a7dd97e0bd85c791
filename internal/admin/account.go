package admin

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) accountRoutes() []route {
	return []route{
		{"GET", "/account", constellation.RoleViewer, s.showAccount},
		{"GET", "/account/keys/new", constellation.RoleViewer, s.newAccountKey},
		{"POST", "/account/keys/new", constellation.RoleViewer, s.createAccountKey},
		{"GET", "/account/keys/{key_id}/revoke", constellation.RoleViewer, s.confirmAccountKey},
		{"POST", "/account/keys/{key_id}/revoke", constellation.RoleViewer, s.revokeAccountKey},
		{"GET", "/account/password", constellation.RoleViewer, s.showPassword},
		{"POST", "/account/password", constellation.RoleViewer, s.changePassword},
		{"POST", "/account/sessions/{session_id}/end", constellation.RoleViewer, s.endSession},
		{"GET", "/account/sign-out", constellation.RoleViewer, s.confirmSignOut},
		{"POST", "/account/sign-out", constellation.RoleViewer, s.signOutEverywhere},
	}
}

// account makes the model of the visitor's own account, with no layer.
func (s *server) account(r *http.Request, p control.Principal) (page.Account, error) {
	account, err := s.control.GetAccount(r.Context(), p, p.Username)
	if err != nil {
		return page.Account{}, err
	}
	m := page.Account{Frame: s.frame(r, "Your account", p), Account: account}
	m.Frame.Section = "account"
	if m.Keys, m.Pager, err = s.keys(r, p, p.Username, "/account"); err != nil {
		return page.Account{}, err
	}
	m.Sessions, err = s.sessions(r, p, p.Username)
	return m, err
}

// keys gives a page of an account's keys, newest first.
func (s *server) keys(r *http.Request, p control.Principal, username, path string) ([]constellation.APIKey, component.Pager, error) {
	q := control.ListQuery{Sort: "-created_at", Limit: pageSize}
	if r.URL.Path == path { // a layer above is no place to turn pages
		q.Marker = r.URL.Query().Get("marker")
	}
	found, err := s.control.ListKeys(r.Context(), p, username, q)
	if err != nil {
		return nil, component.Pager{}, err
	}
	return found.Items, turn(path, q.Marker, found.Marker, len(found.Items)), nil
}

// turn links to the first and the next page of a list whose address has only
// the given parameters beside the marker.
func turn(path, marker, next string, count int, pairs ...string) component.Pager {
	p := component.Pager{Count: count}
	if marker != "" {
		p.First = address(path, pairs...)
	}
	if next != "" {
		p.Next = address(path, append(pairs, "marker", next)...)
	}
	return p
}

func (s *server) sessions(r *http.Request, p control.Principal, username string) ([]page.Session, error) {
	found, err := s.control.ListSessions(r.Context(), p, username)
	list := make([]page.Session, len(found))
	for i, f := range found {
		list[i] = page.Session{
			ID: f.ID, Browser: browser(f.UserAgent), Agent: f.UserAgent, Address: f.Address,
			Created: f.CreatedAt, Expires: f.ExpiresAt, LastSeen: f.LastSeenAt, Current: f.Current,
		}
	}
	return list, err
}

// showAccountWith renders the account with a layer that with adds.
func (s *server) showAccountWith(w http.ResponseWriter, r *http.Request, p control.Principal, status int, with func(*page.Account)) error {
	m, err := s.account(r, p)
	if err != nil {
		return err
	}
	with(&m)
	return render(w, r, status, page.AccountPage(m))
}

func (s *server) showAccount(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.showAccountWith(w, r, p, http.StatusOK, func(*page.Account) {})
}

func (s *server) newAccountKey(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.showAccountWith(w, r, p, http.StatusOK, func(m *page.Account) {
		m.NewKey = newKeyForm("/account/keys/new", "/account", m.Account)
	})
}

func (s *server) createAccountKey(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	secret, form, status, err := s.createKey(r, p, p.Username, "/account/keys/new", "/account")
	if err != nil {
		return err
	}
	return s.showAccountWith(w, r, p, status, func(m *page.Account) {
		m.Secret, m.NewKey = secret, form
		if form != nil {
			form.Roles = rolesUpTo(m.Account.Role)
		}
	})
}

// newKeyForm is an empty form of a key for an account.
func newKeyForm(action, closing string, account *constellation.Account) *page.NewKey {
	return &page.NewKey{
		Action: action, Close: closing, Token: newToken(), Username: account.Username,
		Role: string(account.Role), Lifetime: "365", Roles: rolesUpTo(account.Role),
	}
}

// rolesUpTo are the roles that a key of an account may have.
func rolesUpTo(role constellation.Role) []component.Option {
	return page.Roles[:role.Rank()]
}

// createKey makes a key from the posted form: the secret to show, or the form
// with what is wrong with it.
func (s *server) createKey(r *http.Request, p control.Principal, username, action, closing string) (*page.Secret, *page.NewKey, int, error) {
	if err := parseForm(r); err != nil {
		return nil, nil, 0, err
	}
	form := &page.NewKey{
		Action: action, Close: closing, Token: r.PostForm.Get("token"), Username: username, Name: strings.TrimSpace(r.PostForm.Get("name")),
		Role: r.PostForm.Get("role"), Lifetime: r.PostForm.Get("lifetime"), SatelliteID: strings.TrimSpace(r.PostForm.Get("satellite_id")),
	}
	o, err := s.once(r, p, func(service *control.Service) (outcome, error) {
		n := control.NewKey{Name: form.Name, Role: constellation.Role(form.Role), SatelliteID: form.SatelliteID}
		if days, err := strconv.Atoi(form.Lifetime); err == nil && days > 0 && days <= 3650 {
			expires := s.now().Add(time.Duration(days) * 24 * time.Hour)
			n.ExpiresAt = &expires
		}
		secret, _, err := service.CreateKey(r.Context(), p, username, n)
		return outcome{Target: closing, Secret: secret}, err
	})
	if shown, ok := problems(err); ok {
		form.Problems, form.Token = shown, newToken()
		return nil, form, http.StatusUnprocessableEntity, nil
	}
	if err != nil {
		return nil, nil, 0, err
	}
	return &page.Secret{
		Title: "API key", What: "the API key", Value: o.Secret, Close: closing,
		Text: "Copy it now: it is not shown again. The mothership keeps only its SHA-256.",
	}, nil, http.StatusOK, nil
}

func (s *server) confirmAccountKey(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.showAccountWith(w, r, p, http.StatusOK, func(m *page.Account) {
		m.Confirm = confirmKey("/account", chi.URLParam(r, "key_id"), m.Keys)
	})
}

// confirmKey asks before a key is revoked.
func confirmKey(path, id string, keys []constellation.APIKey) *page.AccountConfirm {
	name := "this key"
	for _, k := range keys {
		if k.ID == id {
			name = "“" + k.Name + "”"
		}
	}
	return &page.AccountConfirm{
		Confirm: component.Confirm{
			Dialog: component.Dialog{Title: "Revoke " + name + "?", Close: path},
			Action: path + "/keys/" + id + "/revoke", Token: newToken(), Does: "Revoke key",
		},
		Text: "Whatever uses it is refused from now on. That cannot be taken back; a new key can be made. What it did stays in the audit log, and what it installed keeps running.",
	}
}

func (s *server) revokeAccountKey(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.revokeKey(w, r, p, p.Username, "/account")
}

func (s *server) revokeKey(w http.ResponseWriter, r *http.Request, p control.Principal, username, path string) error {
	if err := parseForm(r); err != nil {
		return err
	}
	if err := s.control.RevokeKey(r.Context(), p, username, chi.URLParam(r, "key_id")); err != nil {
		return err
	}
	return finish(w, r, outcome{Target: path, Flash: component.Flash{Text: "The key is revoked."}})
}

func (s *server) showPassword(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.showAccountWith(w, r, p, http.StatusOK, func(m *page.Account) {
		m.Password = &page.Password{Token: newToken(), Username: p.Username}
	})
}

func (s *server) changePassword(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	if err := parseForm(r); err != nil {
		return err
	}
	err := s.control.ChangePassword(r.Context(), p, r.PostForm.Get("current_password"), r.PostForm.Get("new_password"))
	if shown, ok := problems(err); ok {
		take(shown, "password", "new_password")
		return s.showAccountWith(w, r, p, http.StatusUnprocessableEntity, func(m *page.Account) {
			m.Password = &page.Password{Token: newToken(), Username: p.Username, Problems: shown}
		})
	}
	if err != nil {
		return err
	}
	return finish(w, r, outcome{Target: "/account", Flash: component.Flash{Text: "The password is changed, and every other session of yours has ended."}})
}

func (s *server) endSession(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.endSessionOf(w, r, p, p.Username, "/account")
}

func (s *server) endSessionOf(w http.ResponseWriter, r *http.Request, p control.Principal, username, path string) error {
	if err := s.control.RevokeSession(r.Context(), p, username, chi.URLParam(r, "session_id")); err != nil {
		return err
	}
	return finish(w, r, outcome{Target: path, Flash: component.Flash{Text: "That browser is signed out."}})
}

func (s *server) confirmSignOut(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.showAccountWith(w, r, p, http.StatusOK, func(m *page.Account) {
		m.Confirm = &page.AccountConfirm{
			Confirm: component.Confirm{
				Dialog: component.Dialog{Title: "Sign out everywhere?", Close: "/account"},
				Action: "/account/sign-out", Token: newToken(), Does: "Sign out everywhere",
			},
			Text: "Every browser is signed out, this one too. API keys stay as they are.",
		}
	})
}

func (s *server) signOutEverywhere(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	if err := s.control.EndSessions(r.Context(), p, p.Username); err != nil {
		return err
	}
	s.setCookie(w, "", time.Unix(1, 0))
	redirect(w, r, "/login")
	return nil
}
