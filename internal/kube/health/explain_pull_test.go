package health

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

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
			got := pullReason(ref, test.message, pullLogin{})
			if !strings.Contains(got, test.want) || strings.Contains(got, "failed to") {
				t.Errorf("pullReason(%q) = %q, want %q in it", test.message, got, test.want)
			}
		})
	}
}

// What mends a refused pull is another for each way to give pods a login.
func TestPullHintsMend(t *testing.T) {
	t.Parallel()
	const ref = "10.0.0.1:5001/team/x@sha256:0123456789abcdef"
	const create = "kubectl --namespace plant create secret docker-registry mine --docker-server=10.0.0.1:5001"
	for name, test := range map[string]struct {
		login   pullLogin
		message string
		want    []string
	}{
		"none":           {pullLogin{namespace: "plant"}, "401 Unauthorized", []string{"docker login 10.0.0.1:5001", "configure stage.registry.pull_secret=create", "deploy again"}},
		"create":         {pullLogin{"plant", render.PullSecretName, false}, "401 Unauthorized", []string{"refuses the pull secret", "docker login 10.0.0.1:5001", "deploy again"}},
		"existing":       {pullLogin{"plant", "mine", false}, "unauthorized", []string{"Secret mine of namespace plant", create, "pull_secret=create"}},
		"existing, gone": {pullLogin{"plant", "mine", true}, "no basic auth credentials", []string{"there is no Secret mine in namespace plant", create}},
	} {
		got := pullReason(ref, test.message, test.login)
		for _, text := range test.want {
			if !strings.Contains(got, text) {
				t.Errorf("%s: %q does not say %q", name, got, text)
			}
		}
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
		if got := pulledWithoutSecret(test.warnings); got != test.want {
			t.Errorf("%s: pulledWithoutSecret = %v, want %v", name, got, test.want)
		}
	}
}
