package admin

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// account makes the model of the visitor's own account, with no layer.
func (s *server) account(r *request) (page.Account, error) {
	account, err := s.control.GetAccount(r.Context(), r.p, r.p.Username)
	if err != nil {
		return page.Account{}, err
	}
	m := page.Account{Frame: s.frame(r, "Your account"), Account: account}
	m.Frame.Section = "account"
	if m.Keys, m.Pager, err = s.keys(r, r.p.Username, "/account"); err != nil {
		return page.Account{}, err
	}
	m.Sessions, err = s.sessions(r, r.p.Username)
	return m, err
}

// keys returns a page of an account's keys, newest first.
func (s *server) keys(r *request, username, path string) ([]constellation.APIKey, component.Pager, error) {
	l := readList(r, path, "-created_at")
	found, err := s.control.ListKeys(r.Context(), r.p, username, l.query())
	if err != nil {
		return nil, component.Pager{}, err
	}
	return found.Items, pagerOf(l, found), nil
}

func (s *server) sessions(r *request, username string) ([]page.Session, error) {
	found, err := s.control.ListSessions(r.Context(), r.p, username)
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
func (s *server) showAccountWith(r *request, status int, with func(*page.Account)) error {
	m, err := s.account(r)
	if err != nil {
		return err
	}
	with(&m)
	m.Titled()
	return r.render(status, page.AccountPage(m))
}

func (s *server) showAccount(r *request) error {
	return s.showAccountWith(r, http.StatusOK, func(*page.Account) {})
}

func (s *server) newAccountKey(r *request) error {
	return s.showAccountWith(r, http.StatusOK, func(m *page.Account) {
		m.NewKey = newKeyForm("/account/keys/new", "/account", m.Account)
	})
}

func (s *server) createAccountKey(r *request) error {
	secret, form, status, err := s.createKey(r, r.p.Username, "/account/keys/new", "/account")
	if err != nil {
		return err
	}
	return s.showAccountWith(r, status, func(m *page.Account) {
		m.Secret, m.NewKey = secret, form
		if form != nil {
			form.Roles = rolesUpTo(m.Account.Role)
		}
	})
}

// newKeyForm returns an empty form of a key for an account.
func newKeyForm(action, closing string, account *constellation.Account) *page.NewKey {
	return &page.NewKey{
		Action: action, Close: closing, Token: newToken(), Username: account.Username,
		Role: string(account.Role), Lifetime: "365", Roles: rolesUpTo(account.Role),
	}
}

// rolesUpTo returns the roles that a key of an account may have.
func rolesUpTo(role constellation.Role) []component.Option {
	return page.Roles[:role.Rank()]
}

// createKey makes a key from the posted form: the secret to show, or the form
// with what is wrong with it.
func (s *server) createKey(r *request, username, action, closing string) (*page.Secret, *page.NewKey, int, error) {
	form := &page.NewKey{
		Action: action, Close: closing, Token: r.PostForm.Get("token"), Username: username, Name: strings.TrimSpace(r.PostForm.Get("name")),
		Role: r.PostForm.Get("role"), Lifetime: r.PostForm.Get("lifetime"), SatelliteID: strings.TrimSpace(r.PostForm.Get("satellite_id")),
		Scope: strings.TrimSpace(r.PostForm.Get("scope")),
	}
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		n := control.NewKey{Name: form.Name, Role: new(constellation.Role(form.Role))}
		if form.SatelliteID != "" { // an optional field of a form is always sent
			n.SatelliteID = &form.SatelliteID
		}
		if form.Scope != "" {
			n.Scope = &form.Scope
		}
		if days, err := strconv.Atoi(form.Lifetime); err == nil && days > 0 && days <= 3650 {
			expires := s.now().Add(time.Duration(days) * 24 * time.Hour)
			n.ExpiresAt = &expires
		}
		secret, _, err := service.CreateKey(r.Context(), r.p, username, n)
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

func (s *server) confirmAccountKey(r *request) error {
	return s.showAccountWith(r, http.StatusOK, func(m *page.Account) {
		m.Confirm = confirmKey("/account", r.param("key_id"), m.Keys)
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

func (s *server) revokeAccountKey(r *request) error {
	return s.revokeKey(r, r.p.Username, "/account")
}

func (s *server) revokeKey(r *request, username, path string) error {
	if err := s.control.RevokeKey(r.Context(), r.p, username, r.param("key_id")); err != nil {
		return err
	}
	return r.finish(outcome{Target: path, Flash: component.Flash{Text: "The key is revoked."}})
}

func (s *server) showPassword(r *request) error {
	return s.showAccountWith(r, http.StatusOK, func(m *page.Account) {
		m.Password = &page.Password{Token: newToken(), Username: r.p.Username}
	})
}

func (s *server) changePassword(r *request) error {
	err := s.control.ChangePassword(r.Context(), r.p, r.PostForm.Get("current_password"), r.PostForm.Get("new_password"))
	if shown, ok := problems(err); ok {
		take(shown, "password", "new_password")
		return s.showAccountWith(r, http.StatusUnprocessableEntity, func(m *page.Account) {
			m.Password = &page.Password{Token: newToken(), Username: r.p.Username, Problems: shown}
		})
	}
	if err != nil {
		return err
	}
	return r.finish(outcome{Target: "/account", Flash: component.Flash{Text: "The password is changed, and every other session of yours has ended."}})
}

func (s *server) endSession(r *request) error {
	return s.endSessionOf(r, r.p.Username, "/account")
}

func (s *server) endSessionOf(r *request, username, path string) error {
	if err := s.control.RevokeSession(r.Context(), r.p, username, r.param("session_id")); err != nil {
		return err
	}
	return r.finish(outcome{Target: path, Flash: component.Flash{Text: "That browser is signed out."}})
}

func (s *server) confirmSignOut(r *request) error {
	return s.showAccountWith(r, http.StatusOK, func(m *page.Account) {
		m.Confirm = &page.AccountConfirm{
			Confirm: component.Confirm{
				Dialog: component.Dialog{Title: "Sign out everywhere?", Close: "/account"},
				Action: "/account/sign-out", Token: newToken(), Does: "Sign out everywhere",
			},
			Text: "Every browser is signed out, this one too. API keys stay as they are.",
		}
	})
}

func (s *server) signOutEverywhere(r *request) error {
	if err := s.control.EndSessions(r.Context(), r.p, r.p.Username); err != nil {
		return err
	}
	s.keepSession(r, "", time.Unix(1, 0))
	r.redirect("/login")
	return nil
}
