package control_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

const goodPassword = "correct horse battery staple"

// person makes an account and returns a session of it.
func (h *house) person(t *testing.T, username string, role constellation.Role) (p control.Principal, token string) {
	t.Helper()
	if _, err := h.CreateAccount(t.Context(), control.Shell(), control.NewAccount{Username: username, Role: role, Password: goodPassword}); err != nil {
		t.Fatal(err)
	}
	return h.session(t, username, goodPassword)
}

func (h *house) session(t *testing.T, username, password string) (p control.Principal, token string) {
	t.Helper()
	p, err := h.AuthenticatePassword(t.Context(), username, password, "192.0.2.1", "")
	if err != nil {
		t.Fatal(err)
	}
	if token, _, err = h.CreateSession(t.Context(), p, "Firefox"); err != nil {
		t.Fatal(err)
	}
	if p, err = h.AuthenticateSession(t.Context(), token, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	return p, token
}

// guess tries a wrong password and reports whether it was looked at.
func (h *house) guess(t *testing.T, username, address string) bool {
	t.Helper()
	_, err := h.AuthenticatePassword(t.Context(), username, "a wrong password", address, "")
	switch constellation.KindOf(err) {
	case constellation.KindUnauthenticated:
		return true
	case constellation.KindRateLimited:
		return false
	}
	t.Fatalf("a wrong password of %s from %s = %v", username, address, err)
	return false
}

func TestGuessesAtOnceAreCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person(t, "ada", constellation.RoleViewer)
	var group sync.WaitGroup
	looked := make(chan bool, 40)
	for range cap(looked) {
		group.Go(func() { looked <- h.guess(t, "ada", "192.0.2.7") })
	}
	group.Wait()
	close(looked)
	n := 0
	for yes := range looked {
		if yes {
			n++
		}
	}
	// A sixth may come after the first second of waiting has passed.
	if n < 5 || n > 7 {
		t.Errorf("of 40 guesses at once, %d passwords were looked at, want 5", n)
	}
}

func TestGuessesAreSlowedByAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person(t, "ada", constellation.RoleViewer)
	refused := 0
	for i := range 40 { // one guess at each of many usernames, from one customer's network
		if !h.guess(t, fmt.Sprintf("user%d", i), fmt.Sprintf("2001:db8:1:2::%x", i+1)) {
			refused++
		}
	}
	if refused == 0 {
		t.Error("40 guesses at different usernames from one /64 were all looked at")
	}
	if _, err := h.AuthenticatePassword(t.Context(), "ada", goodPassword, "2001:db8:1:3::1", ""); err != nil {
		t.Errorf("a login from the network beside it = %v, want nil", err)
	}
}

func TestGuessesAreSlowedByUsername(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.person(t, "ada", constellation.RoleViewer)
	refused := 0
	for i := range 40 {
		if !h.guess(t, "Ada", fmt.Sprintf("198.51.100.%d", i+1)) {
			refused++
		}
	}
	if refused == 0 {
		t.Error("40 guesses at one username from as many addresses were all looked at")
	}
	h.ahead(21 * time.Second) // the most that the owner waits
	if _, err := h.AuthenticatePassword(t.Context(), "ada", goodPassword, "203.0.113.9", ""); err != nil {
		t.Errorf("the owner's login 21 s later = %v, want nil", err)
	}
}

func TestSessionsAreListedAndRevoked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	ada, adaToken := h.person(t, "ada", constellation.RoleAdmin)
	bob, bobToken := h.person(t, "bob", constellation.RoleViewer)
	_, second := h.session(t, "bob", goodPassword)
	list, err := h.ListSessions(ctx, bob, "bob")
	if err != nil || len(list) != 2 || list[0].Current || !list[1].Current || list[1].UserAgent != "Firefox" || list[1].Address != "192.0.2.1" {
		t.Fatalf("ListSessions = %+v, %v, want two, the older one current", list, err)
	}
	_, err = h.ListSessions(ctx, bob, "ada")
	wantKind(t, "a viewer lists others' sessions", err, constellation.KindForbidden)
	wantKind(t, "a viewer ends others' sessions", h.EndSessions(ctx, bob, "ada"), constellation.KindForbidden)
	wantKind(t, "a session that is none", h.RevokeSession(ctx, bob, "bob", "x"), constellation.KindNotFound)
	if err := h.RevokeSession(ctx, bob, "bob", ada.SessionID); err != nil { // another account's: nothing ends
		t.Fatal(err)
	}
	if _, err := h.AuthenticateSession(ctx, adaToken, ""); err != nil {
		t.Errorf("a session was ended through another account: %v", err)
	}
	if err := h.RevokeSession(ctx, bob, "bob", list[0].ID); err != nil {
		t.Fatal(err)
	}
	_, err = h.AuthenticateSession(ctx, second, "")
	wantKind(t, "a revoked session", err, constellation.KindUnauthenticated)
	if err := h.EndSessions(ctx, ada, "bob"); err != nil {
		t.Fatal(err)
	}
	_, err = h.AuthenticateSession(ctx, bobToken, "")
	wantKind(t, "a session after signing out everywhere", err, constellation.KindUnauthenticated)
	if got := strings.Join(h.events(t), "\n"); !strings.Contains(got, "session.revoke_all") || !strings.Contains(got, "session.revoke") {
		t.Errorf("the audit log lacks the sessions' end:\n%s", got)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	bob, token := h.person(t, "bob", constellation.RoleViewer)
	_, other := h.session(t, "bob", goodPassword)
	wantKind(t, "a short password", h.ChangePassword(ctx, bob, goodPassword, "short"), constellation.KindInvalid)
	wantKind(t, "a wrong old password", h.ChangePassword(ctx, bob, "not the old one", "another good password"), constellation.KindInvalid)
	if err := h.ChangePassword(ctx, bob, goodPassword, "another good password"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.AuthenticateSession(ctx, token, ""); err != nil {
		t.Errorf("the session that changed the password = %v, want it to stay", err)
	}
	_, err := h.AuthenticateSession(ctx, other, "")
	wantKind(t, "another session after a new password", err, constellation.KindUnauthenticated)
	h.session(t, "bob", "another good password")
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	ada, _ := h.person(t, "ada", constellation.RoleAdmin)
	bob, _ := h.person(t, "bob", constellation.RoleOperator)
	_, err := h.InviteAccount(ctx, bob, "eve", constellation.RoleAdmin)
	wantKind(t, "an operator invites", err, constellation.KindForbidden)
	_, err = h.ResetPassword(ctx, bob, "bob")
	wantKind(t, "an operator resets", err, constellation.KindForbidden)
	first, err := h.InviteAccount(ctx, ada, "eve", constellation.RoleViewer)
	if err != nil {
		t.Fatal(err)
	}
	again, err := h.ResetPassword(ctx, ada, "eve")
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.InvitedAccount(ctx, first.Token)
	wantKind(t, "a link that was replaced", err, constellation.KindForbidden)
	_, err = h.AcceptInvitation(ctx, again.Token, "short", "")
	wantKind(t, "a short password", err, constellation.KindInvalid)
	if account, err := h.InvitedAccount(ctx, again.Token); err != nil || account.Username != "eve" {
		t.Fatalf("InvitedAccount = %+v, %v, want eve", account, err)
	}
	h.ahead(8 * 24 * time.Hour)
	_, err = h.AcceptInvitation(ctx, again.Token, goodPassword, "")
	wantKind(t, "an expired link", err, constellation.KindForbidden)
	h.ahead(-8 * 24 * time.Hour)
	if _, err := h.AcceptInvitation(ctx, again.Token, goodPassword, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	_, err = h.AcceptInvitation(ctx, again.Token, goodPassword, "")
	wantKind(t, "a used link", err, constellation.KindForbidden)
	h.session(t, "eve", goodPassword)
}
