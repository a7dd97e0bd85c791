package admin

import (
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/component"
	"github.com/constellation-serving/constellation/web/page"
)

// users makes the model of the list of accounts, with no layer.
func (s *server) users(r *request) (page.Users, error) {
	const path = "/users"
	l := readList(r, path, "name")
	found, err := s.control.ListAccounts(r.Context(), r.p, "", l.query())
	if err != nil {
		return page.Users{}, err
	}
	m := page.Users{
		Frame: s.frame(r, "Users"), Query: l.q, Sort: l.sort, Users: found.Items, Orders: l.orders("name", "created_at"), Pager: pagerOf(l, found),
		Labels: s.labels(),
	}
	m.Frame.Section = "users"
	return m, nil
}

func (s *server) showUsersWith(r *request, status int, with func(*page.Users)) error {
	m, err := s.users(r)
	if err != nil {
		return err
	}
	with(&m)
	m.Titled()
	return r.render(status, page.UsersPage(m))
}

func (s *server) listUsers(r *request) error {
	return s.showUsersWith(r, http.StatusOK, func(*page.Users) {})
}

func (s *server) newUser(r *request) error {
	return s.showUsersWith(r, http.StatusOK, func(m *page.Users) {
		m.Invite = &page.Invite{Token: newToken(), Role: string(constellation.RoleViewer)}
	})
}

func (s *server) inviteUser(r *request) error {
	form := &page.Invite{Username: strings.TrimSpace(r.PostForm.Get("username")), Role: r.PostForm.Get("role"), Provider: r.PostForm.Get("provider")}
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		if form.Provider == page.ServiceChoice {
			_, err := service.CreateAccount(r.Context(), r.p, control.NewAccount{Username: form.Username, Role: constellation.Role(form.Role), Kind: constellation.KindService})
			return outcome{Target: "/users/" + form.Username, Flash: component.Flash{Text: "Made the service account " + form.Username + ": give it an API key."}}, err
		}
		if form.Provider != "" {
			_, err := service.CreateAccount(r.Context(), r.p, control.NewAccount{Username: form.Username, Role: constellation.Role(form.Role), Provider: form.Provider})
			return outcome{Target: "/users", Flash: component.Flash{Text: form.Username + " may sign in by " + s.control.ProviderLabel(form.Provider) + " now."}}, err
		}
		invitation, err := service.InviteAccount(r.Context(), r.p, form.Username, constellation.Role(form.Role))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Target: "/users", Secret: s.invitationURL(invitation.Token)}, nil
	})
	if shown, ok := problems(err); ok {
		take(shown, "", "username") // a name that is taken
		form.Problems, form.Token = shown, newToken()
		return s.showUsersWith(r, http.StatusUnprocessableEntity, func(m *page.Users) { m.Invite = form })
	}
	if err != nil {
		return err
	}
	if o.Secret == "" {
		return r.finish(o)
	}
	return s.showUsersWith(r, http.StatusOK, func(m *page.Users) {
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
func (s *server) user(r *request) (page.User, error) {
	account, err := s.control.GetAccount(r.Context(), r.p, r.param("username"))
	if err != nil {
		return page.User{}, err
	}
	m := page.User{
		Frame:   s.frame(r, account.Username, component.Crumb{Name: "Users", URL: "/users"}, component.Crumb{Name: account.Username}),
		Account: account, Self: account.ID == r.p.AccountID, Role: string(account.Role), Token: newToken(),
		Labels: s.labels(), Provider: account.Provider,
	}
	m.Frame.Section = "users"
	if m.Keys, m.Pager, err = s.keys(r, account.Username, "/users/"+account.Username); err != nil {
		return page.User{}, err
	}
	m.Sessions, err = s.sessions(r, account.Username)
	return m, err
}

func (s *server) showUserWith(r *request, status int, with func(*page.User)) error {
	m, err := s.user(r)
	if err != nil {
		return err
	}
	with(&m)
	m.Titled()
	return r.render(status, page.UserPage(m))
}

func (s *server) showUser(r *request) error {
	return s.showUserWith(r, http.StatusOK, func(*page.User) {})
}

// changeUser changes an account and comes back to it; what the visitor can
// mend is shown by refused.
func (s *server) changeUser(r *request, change control.AccountChange, done string, refused func(component.Problems) error) error {
	account, err := s.control.UpdateAccount(r.Context(), r.p, r.param("username"), change)
	if shown, ok := problems(err); ok {
		return refused(shown)
	}
	if err != nil {
		return err
	}
	return r.finish(outcome{Target: "/users/" + account.Username, Flash: component.Flash{Text: done}})
}

func (s *server) changeRole(r *request) error {
	role := constellation.Role(r.PostForm.Get("role"))
	return s.changeUser(r, control.AccountChange{Role: &role}, "The role is "+string(role)+" now.", func(shown component.Problems) error {
		take(shown, "", "role")
		return s.showUserWith(r, http.StatusUnprocessableEntity, func(m *page.User) { m.Problems, m.Role = shown, string(role) })
	})
}

// labels returns what people call the providers, by their names.
func (s *server) labels() page.Labels {
	labels := page.Labels{}
	for _, p := range s.control.Providers() {
		labels[p.Name] = p.Label
	}
	return labels
}

func (s *server) changeProvider(r *request) error {
	provider := r.PostForm.Get("provider")
	done := "The user signs in by a password now: hand on a link to choose one."
	if provider != "" {
		done = "The user signs in by " + s.control.ProviderLabel(provider) + " now."
	}
	return s.changeUser(r, control.AccountChange{Provider: &provider}, done, func(shown component.Problems) error {
		field := "provider"
		if len(s.control.Providers()) == 0 {
			field = "role" // the one field that the page has then
		}
		take(shown, "", field)
		return s.showUserWith(r, http.StatusUnprocessableEntity, func(m *page.User) { m.Problems, m.Provider = shown, provider })
	})
}

// userQuestion is what is asked before something is done to an account.
type userQuestion struct {
	verb       string // in the address
	does, text string
	harmless   bool
}

var (
	askReset = userQuestion{"password", "Make a link for",
		"The link lets its holder choose a new password, once, within seven days. Until then the old one works; then every session ends. A link made before stops working.", true}
	askDisable = userQuestion{"disable", "Disable",
		"Password, sessions and API keys are refused from now on. Satellites and launch instances that the user made stay, and what runs keeps running. Enabling the user again takes it back, but for the sessions.", false}
	askEnable  = userQuestion{"enable", "Enable", "Password and API keys work again as before; revoked and expired keys do not.", true}
	askSignOut = userQuestion{"sign-out", "Sign out", "Every browser of the user is signed out. API keys stay as they are; the user may sign in again.", false}
)

// confirmUser asks before something is done to an account.
func (s *server) confirmUser(q userQuestion) handler {
	return func(r *request) error {
		return s.askUser(r, http.StatusOK, q, nil)
	}
}

func (s *server) askUser(r *request, status int, q userQuestion, problems component.Problems) error {
	return s.showUserWith(r, status, func(m *page.User) {
		path := "/users/" + m.Account.Username
		m.Confirm = &page.AccountConfirm{
			Confirm: component.Confirm{
				Dialog: component.Dialog{Title: q.does + " " + m.Account.Username + "?", Close: path},
				Action: path + "/" + q.verb, Token: newToken(), Does: q.does, Harmless: q.harmless, Problems: problems,
			},
			Text: q.text,
		}
	})
}

func (s *server) resetPassword(r *request) error {
	o, err := s.once(r, func(service *control.Service) (outcome, error) {
		invitation, err := service.ResetPassword(r.Context(), r.p, r.param("username"))
		if err != nil {
			return outcome{}, err
		}
		return outcome{Secret: s.invitationURL(invitation.Token)}, nil
	})
	if shown, ok := problems(err); ok {
		return s.askUser(r, httpserve.Status(err), askReset, shown)
	}
	if err != nil {
		return err
	}
	return s.showUserWith(r, http.StatusOK, func(m *page.User) {
		m.Secret = invitationSecret(m.Account.Username, o.Secret, "/users/"+m.Account.Username)
	})
}

// setDisabled shuts an account out, or lets it in again.
func (s *server) setDisabled(disabled bool, q userQuestion, done string) handler {
	return func(r *request) error {
		return s.changeUser(r, control.AccountChange{Disabled: &disabled}, done, func(shown component.Problems) error {
			return s.askUser(r, http.StatusUnprocessableEntity, q, shown)
		})
	}
}

func (s *server) newUserKey(r *request) error {
	return s.showUserWith(r, http.StatusOK, func(m *page.User) {
		path := "/users/" + m.Account.Username
		m.NewKey = newKeyForm(path+"/keys/new", path, m.Account)
	})
}

func (s *server) createUserKey(r *request) error {
	account, err := s.control.GetAccount(r.Context(), r.p, r.param("username"))
	if err != nil {
		return err
	}
	path := "/users/" + account.Username
	secret, form, status, err := s.createKey(r, account.Username, path+"/keys/new", path)
	if err != nil {
		return err
	}
	return s.showUserWith(r, status, func(m *page.User) {
		m.Secret, m.NewKey = secret, form
		if form != nil {
			form.Roles = rolesUpTo(account.Role)
		}
	})
}

func (s *server) confirmUserKey(r *request) error {
	return s.showUserWith(r, http.StatusOK, func(m *page.User) {
		m.Confirm = confirmKey("/users/"+m.Account.Username, r.param("key_id"), m.Keys)
	})
}

func (s *server) revokeUserKey(r *request) error {
	username := r.param("username")
	return s.revokeKey(r, username, "/users/"+username)
}

func (s *server) endUserSession(r *request) error {
	username := r.param("username")
	return s.endSessionOf(r, username, "/users/"+username)
}

func (s *server) signUserOut(r *request) error {
	username := r.param("username")
	if err := s.control.EndSessions(r.Context(), r.p, username); err != nil {
		return err
	}
	return r.finish(outcome{Target: "/users/" + username, Flash: component.Flash{Text: "The user is signed out everywhere."}})
}
