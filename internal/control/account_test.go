package control_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

const password = "correct horse battery"

func TestSetup(t *testing.T) {
	t.Parallel()
	ctx, h := t.Context(), newHouse(t)
	old, _, err := h.SetupToken(ctx)
	if err != nil || old == "" {
		t.Fatalf("SetupToken = %q, %v, want a token", old, err)
	}
	token, expires, err := h.SetupToken(ctx)
	if err != nil || token != old || time.Until(expires) > time.Hour {
		t.Fatalf("second SetupToken, as of another server = %q until %v, %v, want the same for an hour", token, expires, err)
	}
	h.ahead(2 * time.Hour)
	if token, _, err = h.SetupToken(ctx); err != nil || token == old {
		t.Fatalf("SetupToken after the first has expired = %q, %v, want another", token, err)
	}
	h.ahead(-2 * time.Hour)
	_, err = h.CompleteSetup(ctx, old, "ada", password, "")
	wantKind(t, "replaced token", err, constellation.KindForbidden)
	wantKind(t, "look at a replaced token", h.CheckSetup(ctx, old), constellation.KindForbidden)
	if token, _, err = h.SetupToken(ctx); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "look at the token", h.CheckSetup(ctx, token), "")
	_, err = h.CompleteSetup(ctx, token, "ada", "short", "")
	wantKind(t, "short password", err, constellation.KindInvalid)
	h.ahead(2 * time.Hour)
	_, err = h.CompleteSetup(ctx, token, "ada", password, "")
	wantKind(t, "expired token", err, constellation.KindForbidden)
	wantKind(t, "look at an expired token", h.CheckSetup(ctx, token), constellation.KindForbidden)
	h.ahead(-2 * time.Hour)

	var group sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		group.Go(func() { _, errs[i] = h.CompleteSetup(ctx, token, "ada"+strings.Repeat("x", i), password, "192.0.2.1") })
	}
	group.Wait()
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else {
			wantKind(t, "set-up after set-up", err, constellation.KindConflict)
		}
	}
	if done != 1 {
		t.Errorf("set-up succeeded %d times, want once", done)
	}
	wantKind(t, "look at a token after set-up", h.CheckSetup(ctx, token), constellation.KindConflict)
	if token, _, err := h.SetupToken(ctx); err != nil || token != "" {
		t.Errorf("SetupToken with an account = %q, %v, want none", token, err)
	}
}

func TestPasswordAndSession(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	if _, err := h.CreateAccount(ctx, shell, control.NewAccount{Username: "Ada", Role: constellation.RoleAdmin, Password: password}); err != nil {
		t.Fatal(err)
	}
	p, err := h.AuthenticatePassword(ctx, "ada", password, "192.0.2.1", "")
	if err != nil || p.Username != "Ada" || p.Role != constellation.RoleAdmin {
		t.Fatalf("AuthenticatePassword = %+v, %v, want Ada the admin", p, err)
	}
	token, _, err := h.CreateSession(ctx, p, "browser\x00")
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.AuthenticateSession(ctx, token, p.Address)
	if want := p; err != nil || got.SessionID == "" {
		t.Errorf("AuthenticateSession = %+v, %v, want a session", got, err)
	} else if want.SessionID = got.SessionID; got != want {
		t.Errorf("AuthenticateSession = %+v, want %+v", got, want)
	}
	_, err = h.AuthenticateSession(ctx, token+"x", "")
	wantKind(t, "unknown session", err, constellation.KindUnauthenticated)
	h.ahead(13 * time.Hour)
	_, err = h.AuthenticateSession(ctx, token, "")
	wantKind(t, "expired session", err, constellation.KindUnauthenticated)
	h.ahead(-13 * time.Hour)
	if _, err := h.UpdateAccount(ctx, shell, "ADA", control.AccountChange{Password: ptr("another good password")}); err != nil {
		t.Fatal(err)
	}
	_, err = h.AuthenticateSession(ctx, token, "")
	wantKind(t, "session after a new password", err, constellation.KindUnauthenticated)

	_, unknown := h.AuthenticatePassword(ctx, "nobody", password, "192.0.2.1", "")
	_, wrong := h.AuthenticatePassword(ctx, "ada", password, "192.0.2.1", "")
	wantKind(t, "unknown user", unknown, constellation.KindUnauthenticated)
	if unknown == nil || wrong == nil || unknown.Error() != wrong.Error() {
		t.Errorf("unknown user %v and wrong password %v, want the same words", unknown, wrong)
	}
	for range 4 {
		_, err = h.AuthenticatePassword(ctx, "Ada", "wrong password", "192.0.2.1", "")
		wantKind(t, "wrong password", err, constellation.KindUnauthenticated)
	}
	_, err = h.AuthenticatePassword(ctx, "ada", "another good password", "192.0.2.1", "")
	wantKind(t, "login after five failures", err, constellation.KindRateLimited)
	if _, err = h.AuthenticatePassword(ctx, "ada", "another good password", "192.0.2.2", ""); err != nil {
		t.Errorf("login from another address = %v, want nil", err)
	}
	h.ahead(2 * time.Second)
	if _, err = h.AuthenticatePassword(ctx, "ada", "another good password", "192.0.2.1", ""); err != nil {
		t.Errorf("login after the wait = %v, want nil", err)
	}
	failed := 0
	for _, e := range h.events(t) {
		if strings.HasPrefix(e, "account.login_failed") {
			failed++
		}
	}
	if failed != 6 {
		t.Errorf("%d failed logins in the audit log, want 6", failed)
	}
	again, _, err := h.CreateSession(ctx, p, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.EndSession(ctx, again); err != nil {
		t.Fatal(err)
	}
	_, err = h.AuthenticateSession(ctx, again, "")
	wantKind(t, "ended session", err, constellation.KindUnauthenticated)
	if err := h.Purge(ctx); err != nil {
		t.Errorf("Purge = %v", err)
	}
}

func TestAccountRules(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.account(t, "Ada", constellation.RoleAdmin)
	wantKind(t, "delete the last admin", h.DeleteAccount(ctx, shell, "ada"), constellation.KindConflict)
	_, err := h.UpdateAccount(ctx, shell, "ada", control.AccountChange{Role: ptr(constellation.RoleViewer)})
	wantKind(t, "demote the last admin", err, constellation.KindConflict)
	_, err = h.UpdateAccount(ctx, shell, "ada", control.AccountChange{Disabled: ptr(true)})
	wantKind(t, "disable the last admin", err, constellation.KindConflict)
	_, err = h.CreateAccount(ctx, shell, control.NewAccount{Username: "ADA", Role: constellation.RoleViewer})
	wantKind(t, "taken username", err, constellation.KindConflict)
	for _, bad := range []string{"", "shell", "System", "a b", "../x", "é", strings.Repeat("a", 64), "a\x00"} {
		_, err := h.CreateAccount(ctx, shell, control.NewAccount{Username: bad, Role: "king", Password: "short"})
		wantKind(t, "username "+bad, err, constellation.KindInvalid)
		if diff := cmp.Diff([]string{"username", "role", "password"}, fields(err)); diff != "" {
			t.Errorf("username %q: fields (-want +got):\n%s", bad, diff)
		}
		_, err = h.GetAccount(ctx, shell, bad)
		wantKind(t, "get "+bad, err, constellation.KindNotFound)
	}
	// Admins who demote each other at once: one stays.
	h.account(t, "bob", constellation.RoleAdmin)
	names := []string{"ada", "bob"}
	for range 10 {
		for _, name := range names {
			if _, err := h.UpdateAccount(ctx, shell, name, control.AccountChange{Role: ptr(constellation.RoleAdmin)}); err != nil {
				t.Fatal(err)
			}
		}
		var group sync.WaitGroup
		for _, name := range names {
			group.Go(func() {
				_, _ = h.UpdateAccount(ctx, shell, name, control.AccountChange{Role: ptr(constellation.RoleViewer)})
			})
		}
		group.Wait()
		page, err := h.ListAccounts(ctx, shell, "", control.ListQuery{Sort: "-created_at"})
		if err != nil {
			t.Fatal(err)
		}
		admins := 0
		for _, a := range page.Items {
			if a.Role == constellation.RoleAdmin {
				admins++
			}
		}
		if admins != 1 {
			t.Fatalf("%d admins are left, want 1", admins)
		}
	}
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.push(t, "neo", "hello", hashA)
	s := h.satellite(t, "edge")
	ann := h.account(t, "ann", constellation.RoleOperator)
	secret, key, err := h.CreateKey(ctx, ann, "ann", control.NewKey{Name: "ci"})
	if err != nil || key.Role != constellation.RoleOperator || !strings.HasPrefix(secret, key.Prefix) {
		t.Fatalf("CreateKey = %+v, %v, want an operator's key", key, err)
	}
	p, err := h.AuthenticateKey(ctx, secret, "192.0.2.9")
	want := ann
	want.KeyID, want.Address = key.ID, "192.0.2.9"
	if err != nil || p != want {
		t.Errorf("AuthenticateKey = %+v, %v, want %+v", p, err, want)
	}
	used := func() *time.Time {
		page, err := h.ListKeys(ctx, ann, "ann", control.ListQuery{Q: "CI", Sort: "-expires_at"})
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("ListKeys = %+v, %v, want one key", page, err)
		}
		return page.Items[0].LastUsedAt
	}
	first := used()
	if first == nil {
		t.Fatal("last use is not noted")
	}
	_, _ = h.AuthenticateKey(ctx, secret, "")
	if !used().Equal(*first) {
		t.Error("last use is noted twice within a minute")
	}
	h.ahead(2 * time.Minute)
	_, _ = h.AuthenticateKey(ctx, secret, "")
	if !used().After(*first) {
		t.Error("last use is not noted after a minute")
	}

	limited, _, err := h.CreateKey(ctx, ann, "ann", control.NewKey{Name: "edge only", Role: new(constellation.RoleViewer), SatelliteID: &s.ID})
	if err != nil {
		t.Fatal(err)
	}
	lp, err := h.AuthenticateKey(ctx, limited, "")
	if err != nil || lp.SatelliteID != s.ID || lp.Role != constellation.RoleViewer {
		t.Fatalf("limited key = %+v, %v, want satellite %s, viewer", lp, err, s.ID)
	}
	for name, n := range map[string]control.NewKey{
		"every satellite": {Name: "x", Role: new(constellation.RoleViewer)},
		"higher role":     {Name: "x", Role: new(constellation.RoleOperator), SatelliteID: &s.ID},
	} {
		_, _, err := h.CreateKey(ctx, lp, "ann", n)
		wantKind(t, "limited key makes one for "+name, err, constellation.KindForbidden)
	}
	wantKind(t, "limited key revokes a greater one", h.RevokeKey(ctx, lp, "ann", key.ID), constellation.KindForbidden)
	_, _, err = h.CreateKey(ctx, shell, "ann", control.NewKey{Name: "", Role: new(constellation.RoleAdmin), SatelliteID: new("nope"), ExpiresAt: ptr(time.Now().Add(-time.Hour))})
	wantKind(t, "bad key", err, constellation.KindInvalid)
	if diff := cmp.Diff([]string{"name", "expires_at", "role", "satellite_id"}, fields(err)); diff != "" {
		t.Errorf("bad key: fields (-want +got):\n%s", diff)
	}

	_, err = h.AuthenticateKey(ctx, auth.NewKey(), "")
	wantKind(t, "unknown key", err, constellation.KindUnauthenticated)
	_, err = h.AuthenticateKey(ctx, secret[:20], "")
	wantKind(t, "malformed key", err, constellation.KindUnauthenticated)
	for range 2 { // again is no error
		if err := h.RevokeKey(ctx, ann, "ann", key.ID); err != nil {
			t.Fatal(err)
		}
	}
	_, err = h.AuthenticateKey(ctx, secret, "")
	if wantKind(t, "revoked key", err, constellation.KindUnauthenticated); err == nil || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("revoked key = %v, want it said", err)
	}
	if _, err := h.UpdateAccount(ctx, shell, "ann", control.AccountChange{Disabled: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	_, err = h.AuthenticateKey(ctx, limited, "")
	wantKind(t, "disabled account's key", err, constellation.KindUnauthenticated)
	h.ahead(366 * 24 * time.Hour)
	_, err = h.AuthenticateKey(ctx, limited, "")
	if wantKind(t, "expired key", err, constellation.KindUnauthenticated); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired key = %v, want it said", err)
	}

	events, err := h.ListEvents(ctx, shell, control.EventQuery{TargetKind: "api_key", Since: ptr(time.Unix(0, 0)), ListQuery: control.ListQuery{Limit: 2}})
	if err != nil || events.Marker == "" {
		t.Fatalf("ListEvents = %+v, %v, want a first page of two", events, err)
	}
	rest, err := h.ListEvents(ctx, shell, control.EventQuery{TargetKind: "api_key", Since: ptr(time.Unix(0, 0)), ListQuery: control.ListQuery{Marker: events.Marker, Limit: 2}})
	if err != nil || len(rest.Items) != 1 || rest.Items[0].Action != "api_key.create" {
		t.Errorf("second page = %+v, %v, want the first creation", rest, err)
	}
	all, err := json.Marshal(append(events.Items, rest.Items...))
	if err != nil || bytes.Contains(all, []byte(secret)) || bytes.Contains(all, []byte(auth.HashKey(secret))) {
		t.Errorf("the audit log has the key or its hash, or %v", err)
	}
}

// TestLoweredAccountLowersItsKeys: a key is never more than its account.
func TestLoweredAccountLowersItsKeys(t *testing.T) {
	t.Parallel()
	ctx, h, shell := t.Context(), newHouse(t), control.Shell()
	h.account(t, "root", constellation.RoleAdmin)
	ann := h.account(t, "ann", constellation.RoleAdmin)
	secret, _, err := h.CreateKey(ctx, shell, "ann", control.NewKey{Name: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if has, err := h.HasAdminKey(ctx, ann); err != nil || !has {
		t.Errorf("HasAdminKey = %v, %v, want true", has, err)
	}
	if _, err := h.UpdateAccount(ctx, shell, "ann", control.AccountChange{Role: ptr(constellation.RoleViewer)}); err != nil {
		t.Fatal(err)
	}
	if p, err := h.AuthenticateKey(ctx, secret, ""); err != nil || p.Role != constellation.RoleViewer {
		t.Errorf("key of a lowered account = %+v, %v, want a viewer", p, err)
	}
	if err := h.DeleteAccount(ctx, shell, "ann"); err != nil {
		t.Fatal(err)
	}
	_, err = h.AuthenticateKey(ctx, secret, "")
	wantKind(t, "key of a deleted account", err, constellation.KindUnauthenticated)
}

// TestKeyWithAScope: a scope takes from the role and never adds to it.
func TestKeyWithAScope(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	h.account(t, "neo", constellation.RoleAdmin)
	h.account(t, "ann", constellation.RoleAdmin)
	scoped := control.NewKey{Name: "ci", Scope: new("push:neo/*")}
	secret, key, err := h.CreateKey(ctx, control.Shell(), "ann", scoped)
	if err != nil || key.Scope != "push:neo/*" || key.Role != constellation.RoleAdmin {
		t.Fatalf("CreateKey = %+v, %v, want an admin's key with the scope", key, err)
	}
	p, err := h.AuthenticateKey(ctx, secret, "192.0.2.9")
	if err != nil {
		t.Fatal(err)
	}
	if has, err := h.HasAdminKey(ctx, control.Principal{AccountID: p.AccountID, Username: "ann", Role: constellation.RoleAdmin}); has || err != nil {
		t.Errorf("HasAdminKey = %v, %v, want a key with a scope not to count", has, err)
	}
	for name, err := range map[string]error{
		"pull": h.CanPull(p, "neo/hello"), "push": h.CanPush(p, "neo/hello"),
	} {
		if err != nil {
			t.Errorf("%s = %v", name, err)
		}
	}
	_, _, err = h.CreateKey(ctx, p, "ann", scoped)
	wantKind(t, "it makes one like it", err, constellation.KindForbidden)
	wantKind(t, "it revokes itself", h.RevokeKey(ctx, p, "ann", key.ID), constellation.KindForbidden)
	wantKind(t, "pull of another", h.CanPull(p, "trinity/hello"), constellation.KindForbidden)
	wantKind(t, "push to another", h.CanPush(p, "trinity/hello"), constellation.KindForbidden)
	wantKind(t, "pull of the system image", h.CanPull(p, "constellation/system"), constellation.KindForbidden)

	if _, err := h.UpdateAccount(ctx, control.Shell(), "ann", control.AccountChange{Role: new(constellation.RoleOperator)}); err != nil {
		t.Fatal(err)
	}
	if p, err = h.AuthenticateKey(ctx, secret, ""); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "push of an account that is no admin any more", h.CanPush(p, "neo/hello"), constellation.KindForbidden)
	if err := h.CanPull(p, "neo/hello"); err != nil {
		t.Errorf("pull = %v", err)
	}
}
