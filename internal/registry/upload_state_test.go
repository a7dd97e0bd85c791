package registry

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

// released is the location of an upload that a release with distribution's own
// handlers began, under the secret "secret".
const released = "/v2/neo/hello/blobs/uploads/0f8fad5b-d9cb-469f-a165-70867728950e?_state=0i3TwpJVFPBJSaAtnnOBc6esI1qUQQfgNenjdSmqCD97Ik5hbWUiOiJuZW8vaGVsbG8iLCJVVUlEIjoiMGY4ZmFkNWItZDljYi00NjlmLWExNjUtNzA4Njc3Mjg5NTBlIiwiT2Zmc2V0Ijo0MDk2LCJTdGFydGVkQXQiOiIyMDI2LTExLTMwVDAzOjA1OjE4WiJ9"

// TestUploadsOfTheReleaseGoOn opens and makes the very URL that distribution's
// handlers made.
func TestUploadsOfTheReleaseGoOn(t *testing.T) {
	t.Parallel()
	want := uploadState{
		Name: "neo/hello", UUID: "0f8fad5b-d9cb-469f-a165-70867728950e", Offset: 4096,
		StartedAt: time.Date(2026, 11, 30, 3, 5, 18, 0, time.UTC),
	}
	signer := uploadSigner("secret")
	location, err := signer.location(want)
	if err != nil || location != released {
		t.Errorf("location = %s, %v; want %s", location, err, released)
	}
	u, err := url.Parse(released)
	if err != nil {
		t.Fatal(err)
	}
	token := u.Query().Get("_state")
	if got, err := signer.open(token); err != nil || got != want {
		t.Errorf("open = %+v, %v; want %+v", got, err, want)
	}
	for name, forged := range map[string]string{
		"nothing": "", "no base64": "!", "short": "AAAA", "another's": strings.Replace(token, token[:4], "AAAA", 1), "cut": token[:len(token)-4],
	} {
		if got, err := signer.open(forged); err == nil {
			t.Errorf("%s is opened: %+v", name, got)
		}
	}
	if _, err := uploadSigner("other").open(token); err == nil {
		t.Error("a state is opened under another secret")
	}
}
