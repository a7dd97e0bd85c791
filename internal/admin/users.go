package admin

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) userRoutes() []route {
	return []route{
		{"GET", "/users", constellation.RoleAdmin, s.listUsers},
		{"GET", "/users/new", constellation.RoleAdmin, s.newUser},
		{"POST", "/users/new", constellation.RoleAdmin, s.inviteUser},
		{"GET", "/users/{username}", constellation.RoleAdmin, s.showUser},
		{"POST", "/users/{username}/role", constellation.RoleAdmin, s.changeRole},
		{"GET", "/users/{username}/password", constellation.RoleAdmin, s.confirmReset},
		{"POST", "/users/{username}/password", constellation.RoleAdmin, s.resetPassword},
		{"GET", "/users/{username}/disable", constellation.RoleAdmin, s.confirmDisable},
		{"POST", "/users/{username}/disable", constellation.RoleAdmin, s.disableUser},
		{"GET", "/users/{username}/enable", constellation.RoleAdmin, s.confirmEnable},
		{"POST", "/users/{username}/enable", constellation.RoleAdmin, s.enableUser},
		{"GET", "/users/{username}/keys/new", constellation.RoleAdmin, s.newUserKey},
		{"POST", "/users/{username}/keys/new", constellation.RoleAdmin, s.createUserKey},
		{"GET", "/users/{username}/keys/{key_id}/revoke", constellation.RoleAdmin, s.confirmUserKey},
		{"POST", "/users/{username}/keys/{key_id}/revoke", constellation.RoleAdmin, s.revokeUserKey},
		{"POST", "/users/{username}/sessions/{session_id}/end", constellation.RoleAdmin, s.endUserSession},
		{"GET", "/users/{username}/sign-out", constellation.RoleAdmin, s.confirmUserSignOut},
		{"POST", "/users/{username}/sign-out", constellation.RoleAdmin, s.signUserOut},
	}
}

// users makes the model of the list of accounts, with no layer.
func (s *server) users(r *http.Request, p control.Principal) (page.Users, error) {
	const path = "/users"
	q := control.ListQuery{Sort: "name", Limit: pageSize}
	if r.URL.Path == path {
		q = listQuery(r.URL.Query(), "name")
	}
	found, err := s.control.ListAccounts(r.Context(), p, q)
	if err != nil {
		return page.Users{}, err
	}
	m := page.Users{
		Frame: s.frame(r, "Users", p), Query: q.Q, Sort: q.Sort, Users: found.Items,
		ByName: address(path, "q", q.Q, "sort", other(q.Sort, "name")),
		ByDate: address(path, "q", q.Q, "sort", other(q.Sort, "created_at")),
		Pager:  turn(path, q.Marker, found.Marker, len(found.Items), "q", q.Q, "sort", q.Sort),
	}
	m.Frame.Section = "users"
	return m, nil
}

func (s *server) showUsersWith(w http.ResponseWriter, r *http.Request, p control.Principal, status int, with func(*page.Users)) error {
	m, err := s.users(r, p)
	if err != nil {
		return err
	}
	with(&m)
	return render(w, r, status, page.UsersPage(m))
}

func (s *server) listUsers(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.showUsersWith(w, r, p, http.StatusOK, func(*page.Users) {})
}

func (s *server) newUser(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.showUsersWith(w, r, p, http.StatusOK, func(m *page.Users) {
		m.Invite = &page.Invite{Token: newToken(), Role: string(constellation.RoleViewer)}
	})
}

func (s *server) inviteUser(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	if err := parseForm(r); err != nil {
		return err
	}
	form := &page.Invite{Username: strings.TrimSpace(r.PostForm.Get("username")), Role: r.PostForm.Get("role")}
	o, err := s.once(r, p, func(service *control.Service) (outcome, error) {
		invitation, err := service.InviteAccount(r.Context(), p, form.Username, constellation.Role(form.Role))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: "/users", Secret: s.invitationURL(invitation.Token)}, nil
	})
	if shown, ok := problems(err); ok {
		take(shown, "", "username") // a name that is taken
		form.Problems, form.Token = shown, newToken()
		return s.showUsersWith(w, r, p, http.StatusUnprocessableEntity, func(m *page.Users) { m.Invite = form })
	}
	if err != nil {
		return err
	}
	return s.showUsersWith(w, r, p, http.StatusOK, func(m *page.Users) {
		m.Secret = invitationSecret(form.Username, o.Secret, "/users")
	})
}

func (s *server) invitationURL(token string) string {
	return s.publicURL + "/invitation?token=" + token
}

func invitationSecret(username, url, closing string) *page.Secret {
	return &page.Secret{
		Title: "Link for " + username, What: "the link", Value: url, Close: closing,
		Text: "Hand it on by a way that only " + username + " reads. It works once, for seven days, and is not shown again; a new one replaces it.",
	}
}

// user makes the model of one account, with no layer.
func (s *server) user(r *http.Request, p control.Principal) (page.User, error) {
	account, err := s.control.GetAccount(r.Context(), p, chi.URLParam(r, "username"))
	if err != nil {
		return page.User{}, err
	}
	m := page.User{
		Frame:   s.frame(r, account.Username, p, component.Crumb{Name: "Users", URL: "/users"}, component.Crumb{Name: account.Username}),
		Account: account, Self: account.ID == p.AccountID, Role: string(account.Role), Token: newToken(),
	}
	m.Frame.Section = "users"
	if m.Keys, m.Pager, err = s.keys(r, p, account.Username, "/users/"+account.Username); err != nil {
		return page.User{}, err
	}
	m.Sessions, err = s.sessions(r, p, account.Username)
	return m, err
}

func (s *server) showUserWith(w http.ResponseWriter, r *http.Request, p control.Principal, status int, with func(*page.User)) error {
	m, err := s.user(r, p)
	if err != nil {
		return err
	}
	with(&m)
	return render(w, r, status, page.UserPage(m))
}

func (s *server) showUser(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.showUserWith(w, r, p, http.StatusOK, func(*page.User) {})
}

// changeUser changes an account and comes back to it; what the visitor can
// mend is shown at the role, the page's only field.
func (s *server) changeUser(w http.ResponseWriter, r *http.Request, p control.Principal, change control.AccountChange, done string) error {
	username := chi.URLParam(r, "username")
	account, err := s.control.UpdateAccount(r.Context(), p, username, change)
	if shown, ok := problems(err); ok {
		take(shown, "", "role")
		return s.showUserWith(w, r, p, http.StatusUnprocessableEntity, func(m *page.User) {
			m.Problems = shown
			if change.Role != nil {
				m.Role = string(*change.Role)
			}
		})
	}
	if err != nil {
		return err
	}
	return finish(w, r, outcome{Target: "/users/" + account.Username, Flash: component.Flash{Text: done}})
}

func (s *server) changeRole(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	if err := parseForm(r); err != nil {
		return err
	}
	role := constellation.Role(r.PostForm.Get("role"))
	return s.changeUser(w, r, p, control.AccountChange{Role: &role}, "The role is "+string(role)+" now.")
}

// confirmUser asks before something is done to an account.
func (s *server) confirmUser(w http.ResponseWriter, r *http.Request, p control.Principal, verb, does, text string, harmless bool) error {
	return s.showUserWith(w, r, p, http.StatusOK, func(m *page.User) {
		path := "/users/" + m.Account.Username
		m.Confirm = &page.AccountConfirm{
			Confirm: component.Confirm{
				Dialog: component.Dialog{Title: does + " " + m.Account.Username + "?", Close: path},
				Action: path + "/" + verb, Token: newToken(), Does: does, Harmless: harmless,
			},
			Text: text,
		}
	})
}

func (s *server) confirmReset(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.confirmUser(w, r, p, "password", "Make a link for",
		"The link lets its holder choose a new password, once, within seven days. Until then the old one works; then every session ends. A link made before stops working.", true)
}

func (s *server) resetPassword(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	if err := parseForm(r); err != nil {
		return err
	}
	o, err := s.once(r, p, func(service *control.Service) (outcome, error) {
		invitation, err := service.ResetPassword(r.Context(), p, chi.URLParam(r, "username"))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Secret: s.invitationURL(invitation.Token)}, nil
	})
	if err != nil {
		return err
	}
	return s.showUserWith(w, r, p, http.StatusOK, func(m *page.User) {
		m.Secret = invitationSecret(m.Account.Username, o.Secret, "/users/"+m.Account.Username)
	})
}

func (s *server) confirmDisable(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.confirmUser(w, r, p, "disable", "Disable",
		"Password, sessions and API keys are refused from now on. Satellites and launch instances that the user made stay, and what runs keeps running. Enabling the user again takes it back, but for the sessions.", false)
}

func (s *server) disableUser(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	yes := true
	return s.changeUser(w, r, p, control.AccountChange{Disabled: &yes}, "The user is disabled, and signed out everywhere.")
}

func (s *server) confirmEnable(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.confirmUser(w, r, p, "enable", "Enable", "Password and API keys work again as before; revoked and expired keys do not.", true)
}

func (s *server) enableUser(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	no := false
	return s.changeUser(w, r, p, control.AccountChange{Disabled: &no}, "The user may sign in again.")
}

func (s *server) newUserKey(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.showUserWith(w, r, p, http.StatusOK, func(m *page.User) {
		path := "/users/" + m.Account.Username
		m.NewKey = newKeyForm(path+"/keys/new", path, m.Account)
	})
}

func (s *server) createUserKey(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	account, err := s.control.GetAccount(r.Context(), p, chi.URLParam(r, "username"))
	if err != nil {
		return err
	}
	path := "/users/" + account.Username
	secret, form, status, err := s.createKey(r, p, account.Username, path+"/keys/new", path)
	if err != nil {
		return err
	}
	return s.showUserWith(w, r, p, status, func(m *page.User) {
		m.Secret, m.NewKey = secret, form
		if form != nil {
			form.Roles = rolesUpTo(account.Role)
		}
	})
}

func (s *server) confirmUserKey(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.showUserWith(w, r, p, http.StatusOK, func(m *page.User) {
		m.Confirm = confirmKey("/users/"+m.Account.Username, chi.URLParam(r, "key_id"), m.Keys)
	})
}

func (s *server) revokeUserKey(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	username := chi.URLParam(r, "username")
	return s.revokeKey(w, r, p, username, "/users/"+username)
}

func (s *server) endUserSession(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	username := chi.URLParam(r, "username")
	return s.endSessionOf(w, r, p, username, "/users/"+username)
}

func (s *server) confirmUserSignOut(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	return s.confirmUser(w, r, p, "sign-out", "Sign out", "Every browser of the user is signed out. API keys stay as they are; the user may sign in again.", false)
}

func (s *server) signUserOut(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	username := chi.URLParam(r, "username")
	if err := s.control.EndSessions(r.Context(), p, username); err != nil {
		return err
	}
	return finish(w, r, outcome{Target: "/users/" + username, Flash: component.Flash{Text: "The user is signed out everywhere."}})
}
