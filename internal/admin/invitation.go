package admin

import (
	"errors"
	"net/http"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) showInvitation(w http.ResponseWriter, r *http.Request) error {
	return s.invitation(w, r, r.URL.Query().Get("token"), http.StatusOK, "")
}

func (s *server) invitation(w http.ResponseWriter, r *http.Request, token string, status int, problem string) error {
	account, err := s.control.InvitedAccount(r.Context(), token)
	if err != nil {
		return err
	}
	return render(w, r, status, page.InvitationPage(page.Invitation{
		Frame: s.frame(r, "Choose a password", control.Principal{}), Token: token, Username: account.Username, New: !account.HasPassword, Problem: problem,
	}))
}

func (s *server) acceptInvitation(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	token, password := r.PostForm.Get("token"), r.PostForm.Get("password")
	account, err := s.control.AcceptInvitation(r.Context(), token, password, httpserve.Address(r))
	var e *constellation.Error
	if errors.As(err, &e) && e.Kind == constellation.KindInvalid {
		return s.invitation(w, r, token, http.StatusUnprocessableEntity, e.Message)
	}
	if err != nil {
		return err
	}
	p := control.Principal{AccountID: account.ID, Username: account.Username, Role: account.Role, Address: httpserve.Address(r)}
	return s.enter(w, r, p, "/")
}
