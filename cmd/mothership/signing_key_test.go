package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestSigningKeyRotates under a running server, which signs with the new key at once;
// the shell, the API and the audit log tell of it.
func TestSigningKeyRotates(t *testing.T) {
	t.Parallel()
	r := newRelease(t)
	signs := func() any { // as the server says
		t.Helper()
		return r.call(t, "GET", "/v1/system", "")["signing_key"].(map[string]any)["id"]
	}
	run := func(args ...string) (shownKey, string) {
		t.Helper()
		code, stdout, stderr := exitOf(t.Context(), "", append(append([]string{"signing-key"}, args...), "--data-dir", r.dir, "-o", "json")...)
		var key shownKey
		if err := json.Unmarshal([]byte(stdout), &key); code != 0 || err != nil {
			t.Fatalf("signing-key %v: exit %d, %v: %s", args, code, err, stderr)
		}
		return key, stderr
	}
	first, _ := run()
	if before := signs(); before != first.ID || first.Since == nil || len(first.Earlier) != 0 {
		t.Errorf("before any rotation the server signs with %v, and the key is %+v", before, first)
	}
	second, said := run("rotate", "--grace", "24h")
	if !strings.Contains(said, "signed with "+second.ID+" from now on, which "+first.ID+" leads installers to") || len(second.Earlier) != 1 || second.Earlier[0].ID != first.ID {
		t.Errorf("rotate says %q of %+v", said, second)
	}
	if after := signs(); after != second.ID {
		t.Errorf("after a rotation the server signs with %v, want %s", after, second.ID)
	}
	// kill -9 at any moment of a rotation: it was done or not, and the next one works.
	last := second
	for range 5 {
		cmd := exec.Command(os.Args[0], "signing-key", "rotate", "--data-dir", r.dir) //nolint:gosec // ourselves
		cmd.Env = append(os.Environ(), "MOTHERSHIP_TEST_MAIN=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(rand.N(400*time.Millisecond), func() { _ = cmd.Process.Kill() }) //nolint:gosec // any moment
		_ = cmd.Wait()                                                                           // killed or not
		timer.Stop()
		now, _ := run()
		if n := len(now.Earlier) - len(last.Earlier); n < 0 || n > 1 || (n == 0) != (now.ID == last.ID) {
			t.Errorf("after a rotation that was killed the keys are %+v, before %+v", now, last)
		}
		if signed := signs(); signed != now.ID {
			t.Errorf("the server signs with %v, want %s", signed, now.ID)
		}
		last = now
	}
	third, said := run("rotate", "--revoke")
	if !third.Earlier[0].Revoked || !third.Earlier[len(third.Earlier)-1].Revoked || !strings.Contains(said, "--trust "+third.ID) {
		t.Errorf("rotate --revoke says %q of %+v", said, third)
	}
	system := r.call(t, "GET", "/v1/system", "")["signing_key"].(map[string]any)
	if system["id"] != third.ID || len(system["earlier"].([]any)) != len(third.Earlier) || system["since"] == nil {
		t.Errorf("GET /v1/system has the key %v, want %s", system, third.ID)
	}
	if events := r.call(t, "GET", "/v1/events?action=signing_key.rotate", "")["results"].([]any); len(events) != len(third.Earlier) {
		t.Errorf("the audit log has %d rotations, want %d", len(events), len(third.Earlier))
	}
	if code, _, stderr := exitOf(t.Context(), "", "signing-key", "rotate", "--revoke", "--grace", "1h", "--data-dir", r.dir); code != 2 || !strings.Contains(stderr, "give one of the two") {
		t.Errorf("rotate --revoke --grace: exit %d, %q", code, stderr)
	}
	if code, _, stderr := exitOf(t.Context(), "", "signing-key", "rotate", "--grace", "-1h", "--data-dir", r.dir); code == 0 || !strings.Contains(stderr, "between 0 and ten years") {
		t.Errorf("rotate --grace -1h: exit %d, %q", code, stderr)
	}
}
