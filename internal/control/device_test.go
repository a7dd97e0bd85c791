package control_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// TestAKnownDeviceIsNotLockedOut: whoever guesses from an address, or at a
// username from everywhere, makes everybody there wait but browsers that the
// account has signed in from; those wait for their own failures.
func TestAKnownDeviceIsNotLockedOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.stand() // slow guesses would be forgotten
	ctx := t.Context()
	ada, _ := h.person(t, "ada", constellation.RoleAdmin)
	bob, _ := h.person(t, "bob", constellation.RoleViewer)
	const proxy = "192.0.2.1"
	token := h.DeviceToken(ada, "")
	for i := range 60 { // thirty use up the address; then they wait
		_, _ = h.AuthenticatePassword(ctx, fmt.Sprint("guess", i), "a wrong password", proxy, "")
	}
	signIn := func(what, device string, want constellation.Kind) {
		t.Helper()
		_, err := h.AuthenticatePassword(ctx, "ada", goodPassword, proxy, device)
		wantKind(t, what, err, want)
	}
	signIn("a device that nobody knows", "", constellation.KindRateLimited)
	signIn("a device of somebody else", h.DeviceToken(bob, ""), constellation.KindRateLimited)
	signIn("a device that nobody made", token[:len(token)-2]+"AA", constellation.KindRateLimited)
	signIn("a known device", token, "")
	wantKind(t, "a new password from where others guess", h.ChangePassword(ctx, ada, goodPassword, "another good password"), "")
	wantKind(t, "the old password again", h.ChangePassword(ctx, ada, "another good password", goodPassword), "")
	if renewed := h.DeviceToken(ada, token); renewed == "" {
		t.Error("a known device gets no token")
	} else {
		signIn("a device known for long", renewed, "")
	}
	for range 10 {
		_, _ = h.AuthenticatePassword(ctx, "ada", "a wrong password", proxy, token)
	}
	signIn("a known device that guesses", token, constellation.KindRateLimited)
	h.ahead(500 * 24 * time.Hour)
	for i := range 60 {
		_, _ = h.AuthenticatePassword(ctx, fmt.Sprint("guess", i), "a wrong password", proxy, "")
	}
	signIn("a device of long ago", token, constellation.KindRateLimited)
}
