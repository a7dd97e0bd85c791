package kube

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

func TestNarratorSaysEachKindOfTroubleOnce(t *testing.T) {
	t.Parallel()
	var said []string
	n := narrator{report: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }}
	state := func(kind, reason string, running int64) {
		n.tell([]Health{{Name: "a", Desired: 2, Running: running, Ready: running == 2, kind: kind, Reason: reason}})
	}
	state("", "runs, and is not ready yet", 0)
	for range 5 {
		state("image", "ErrImagePull", 0)
		state("image", "ImagePullBackOff", 0)
	}
	state("exit", "ended with exit code 1", 0)
	state("image", "ErrImagePull", 0)
	state("", "", 1)
	state("", "", 0)
	state("", "", 1)
	state("", "", 2)
	state("", "", 2)
	want := []string{"a: 0 of 2 ready: ErrImagePull", "a: 0 of 2 ready: ended with exit code 1", "a: 1 of 2 ready", "a is ready (2 of 2)"}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	n.tell([]Health{{Name: "b", Desired: 1, Running: 1, kind: "image", Reason: "pod b-1: cannot pull x"}})
	if want := []string{"b: the new pods are not ready, the old ones serve: pod b-1: cannot pull x"}; cmp.Diff(want, said[4:]) != "" {
		t.Errorf("said %q, want %q", said[4:], want)
	}
	said, n.last = nil, time.Now().Add(-heartbeatEvery)
	n.begun = n.last
	state("image", "cannot pull x\n  more", 1)
	state("image", "cannot pull x\n  more", 1)
	if want := []string{"still waiting after 15s for a (1 of 2: cannot pull x)"}; cmp.Diff(want, said) != "" {
		t.Errorf("said %q, want %q", said, want)
	}
}

func TestPullReason(t *testing.T) {
	t.Parallel()
	const ref = "10.0.0.1:5001/team/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const short = "cannot pull 10.0.0.1:5001/team/x@sha256:0123456789ab"
	tests := map[string]struct{ message, want string }{
		"plain HTTP": {
			`failed to pull and unpack image "` + ref + `": failed to resolve reference "` + ref + `": failed to do request: Head "https://10.0.0.1:5001/v2/team/x/manifests/sha256:01": http: server gave HTTP response to HTTPS client`,
			short + ": http: server gave HTTP response to HTTPS client (the registry speaks plain HTTP",
		},
		"back-off with its cause": {
			`Back-off pulling image "` + ref + `": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image "` + ref + `": failed to resolve reference "` + ref + `": ` + ref + `: not found`,
			short + ": not found (the registry that the nodes reach does not have the image",
		},
		"back-off alone": {`Back-off pulling image "` + ref + `"`, short},
		"login": {
			`failed to pull and unpack image "` + ref + `": failed to resolve reference "` + ref + `": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials`,
			short + ": pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials (the registry wants a login: run 'docker login 10.0.0.1:5001'",
		},
		"unknown": {"the moon is full", short + ": the moon is full"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := pullReason(ref, test.message)
			if !strings.Contains(got, test.want) || strings.Contains(got, "failed to") {
				t.Errorf("pullReason(%q) = %q, want %q in it", test.message, got, test.want)
			}
		})
	}
}

// A kubelet that could not read the pull secret yet pulls without it, and the
// registry's refusal then is none of the login's.
func TestPullWithoutItsSecretYet(t *testing.T) {
	t.Parallel()
	at := func(second int, reason, message string) corev1.Event {
		return corev1.Event{Reason: reason, Message: message, LastTimestamp: metav1.NewTime(time.Date(2026, 11, 26, 12, 0, second, 0, time.UTC))}
	}
	unread := func(second int) corev1.Event {
		return at(second, secretUnread, "Unable to retrieve some image pull secrets (registry-pull)")
	}
	failed := func(second int) corev1.Event { return at(second, "Failed", "Failed to pull image: 401 Unauthorized") }
	for name, test := range map[string]struct {
		warnings []corev1.Event
		want     bool
	}{
		"nothing":                  {nil, false},
		"refused with its secret":  {[]corev1.Event{failed(1)}, false},
		"refused without it":       {[]corev1.Event{unread(0), failed(1)}, true},
		"refused with it, later":   {[]corev1.Event{unread(0), failed(1), failed(12)}, false},
		"without it a second time": {[]corev1.Event{unread(0), failed(1), unread(11), failed(12)}, true},
	} {
		if got := pulledBare(test.warnings); got != test.want {
			t.Errorf("%s: pulledBare = %v, want %v", name, got, test.want)
		}
	}
}

// An engine's log has access lines, answers of earlier deploys, and at last
// ours.
func TestAdoptionReadsTheEnginesAnswer(t *testing.T) {
	t.Parallel()
	a := &adoption{name: "abc.1", want: engineConfig{"r2", "k2"}}
	answer := func(asked, routes, keys, refused string) string {
		return fmt.Sprintf("{\"msg\":%q,\"asked\":%q,\"routes\":%q,\"keys\":%q,\"refused\":%q}\n", config.InUseMessage, asked, routes, keys, refused)
	}
	noise := "{\"msg\":\"call\",\"path\":\"/v1/algo/x\"}\nnot json " + config.InUseMessage + "\n"
	tests := map[string]struct {
		log             string
		answered, using bool
		refused         string
	}{
		"nothing":              {noise, false, false, ""},
		"another deploy's":     {noise + answer("abc.0.1", "r2", "k2", ""), false, false, ""},
		"too early":            {answer("abc.1.1", "r1", "k2", ""), true, false, ""},
		"too early, then good": {answer("abc.1.1", "r1", "k2", "") + noise + answer("abc.1.2", "r2", "k2", ""), true, true, ""},
		"refused":              {answer("abc.1.1", "r1", "k2", "routes.json: no"), true, false, "routes.json: no"},
		"cut":                  {strings.TrimSuffix(answer("abc.1.1", "r2", "k2", ""), "\n"), true, true, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &engineAsked{}
			if err := a.read(strings.NewReader(test.log), e); err != nil {
				t.Fatal(err)
			}
			if e.answered != test.answered || e.using != test.using || e.refused != test.refused {
				t.Errorf("read = %+v, want %+v", e, test)
			}
		})
	}
}

func TestAdoptionGoesOnWithoutAnswers(t *testing.T) {
	t.Parallel()
	broken := fmt.Errorf("forbidden")
	tests := map[string]struct {
		engine  engineAsked
		after   time.Duration
		goingOn bool
	}{
		"the log cannot be read, early":   {engineAsked{told: true, problem: broken}, blindFor / 2, false},
		"the log cannot be read":          {engineAsked{told: true, problem: broken}, blindFor + time.Second, true},
		"the pod cannot be told":          {engineAsked{problem: broken}, blindFor + time.Second, false},
		"the pod cannot be told, at last": {engineAsked{problem: broken}, untoldFor + time.Second, true},
		"silent":                          {engineAsked{told: true}, blindFor + time.Second, false},
		"silent for long":                 {engineAsked{told: true}, untoldFor + time.Second, true},
		"it refuses":                      {engineAsked{told: true, answered: true}, untoldFor + time.Second, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &adoption{since: time.Now().Add(-test.after)}
			if got := a.blind([]*engineAsked{&test.engine}) != ""; got != test.goingOn {
				t.Errorf("blind = %v, want %v", got, test.goingOn)
			}
		})
	}
}
