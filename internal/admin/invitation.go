package admin

import (
	"errors"
	"net/http"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) showInvitation(r *request) error {
	return s.invitation(r, r.URL.Query().Get("token"), http.StatusOK, "")
}

func (s *server) invitation(r *request, token string, status int, problem string) error {
	account, err := s.control.InvitedAccount(r.Context(), token)
	if err != nil {
		return err
	}
	return r.render(status, page.InvitationPage(page.Invitation{
		Frame: s.frame(r, "Choose a password"), Token: token, Username: account.Username, New: !account.HasPassword, Problem: problem,
	}))
}

func (s *server) acceptInvitation(r *request) error {
	token, password := r.PostForm.Get("token"), r.PostForm.Get("password")
	account, err := s.control.AcceptInvitation(r.Context(), token, password, httpserve.Address(r.Request))
	var e *constellation.Error
	if errors.As(err, &e) && e.Kind == constellation.KindInvalid {
		return s.invitation(r, token, http.StatusUnprocessableEntity, e.Message)
	}
	if err != nil {
		return err
	}
	r.p = control.Principal{AccountID: account.ID, Username: account.Username, Role: account.Role, Address: httpserve.Address(r.Request)}
	return s.enter(r, "/")
}
