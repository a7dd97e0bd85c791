package health

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// pullReasons are a waiting container's reasons while its image cannot be
// pulled; a kubelet goes back and forth between them.
var pullReasons = map[string]bool{"ErrImagePull": true, "ImagePullBackOff": true, "ErrImageNeverPull": true, "RegistryUnavailable": true, "InvalidImageName": true}

// pullHints say what to do, by what a container runtime says.
var pullHints = []struct{ sign, hint string }{
	{"server gave HTTP response to HTTPS client", "the registry speaks plain HTTP: tell the nodes' container runtime so (containerd: certs.d/HOST/hosts.toml)"},
	{"x509:", "the nodes do not trust the registry's certificate: give its CA to the nodes' container runtime"},
	{"403", "the account that pods pull with may not pull this"},
	{"denied", "the account that pods pull with may not pull this"},
	{"not found", "the registry that the nodes reach does not have the image: is HOST the same registry from there? deploy again pushes it"},
	{"manifest unknown", "the registry that the nodes reach does not have the image: is HOST the same registry from there? deploy again pushes it"},
	{"no such host", "the nodes do not know the name HOST"},
	{"connection refused", "the nodes do not reach HOST"},
	{"i/o timeout", "the nodes do not reach HOST"},
	{"no route to host", "the nodes do not reach HOST"},
	{"deadline exceeded", "the nodes do not reach HOST, or it is very slow"},
	{"no space left on device", "the node's disk is full"},
	{"no match for platform", "the image is not built for the node's platform"},
}

// explainPull returns in one line why an image cannot be pulled, and gives up the
// sooner when that is certain not to end by itself.
func explainPull(ctx context.Context, c *cluster.Cluster, pod *corev1.Pod, image string, waiting *corev1.ContainerStateWaiting) problem {
	warnings := warnings(ctx, c, pod.Name)
	message := waiting.Message
	if !strings.Contains(message, "ailed to ") { // an older kubelet that only says that it waits
		if said := lastPull(warnings).Message; said != "" {
			message = said
		}
	}
	says := func(signs []string) bool {
		return slices.ContainsFunc(signs, func(sign string) bool { return strings.Contains(message, sign) })
	}
	login := pullLogin{namespace: c.Namespace}
	if secrets := pod.Spec.ImagePullSecrets; len(secrets) > 0 {
		login.secret = secrets[0].Name
	}
	switch {
	case says(loginSigns) && pulledWithoutSecret(warnings) && secretMissing(ctx, c, login.secret):
		login.missing = true
		return problem{"image", pullReason(image, message, login), certainAfter}
	case says(loginSigns) && pulledWithoutSecret(warnings):
		return problem{"secret", "its node could not read the pull secret yet, and the registry wants a login; the node tries again", unreachedAfter}
	case says(loginSigns) || says(certainSigns):
		return problem{"image", pullReason(image, message, login), certainAfter}
	}
	return problem{"image", pullReason(image, message, login), unreachedAfter}
}

// pullLogin is what a pod pulls with.
type pullLogin struct {
	namespace string
	secret    string // "" is none
	missing   bool   // there is no such Secret
}

// wantedSigns are of a registry that wants a login, or another one.
var wantedSigns = []string{"no basic auth credentials", "unauthorized", "401", "authorization failed"}

// hint returns what gives pods a login that the registry takes.
func (l pullLogin) hint(message string) string {
	login := "run 'docker login HOST' here"
	existing := CreatePullSecret(l.namespace, l.secret, "HOST")
	switch {
	case l.secret == "":
		return "the registry wants a login: " + login + ", configure stage.registry.pull_secret=create and deploy again"
	case l.missing:
		return "the registry wants a login, and there is no Secret " + l.secret + " in namespace " + l.namespace + ": make it with '" + existing + "', or " + login + ", configure stage.registry.pull_secret=create and deploy again"
	case l.secret == render.PullSecretName && strings.Contains(message, "no basic auth credentials"):
		return "the registry wants a login: " + login + " and deploy again"
	case l.secret == render.PullSecretName:
		return "the registry refuses the pull secret: " + login + " and deploy again"
	}
	return "the registry refuses what Secret " + l.secret + " of namespace " + l.namespace + " has for it: delete it and make it anew with '" + existing + "', or " + login + ", configure stage.registry.pull_secret=create and deploy again"
}

// CreatePullSecret returns the command that makes a pull secret by hand.
func CreatePullSecret(namespace, name, host string) string {
	return "kubectl --namespace " + namespace + " create secret docker-registry " + name + " --docker-server=" + host + " --docker-username=USER --docker-password=PASSWORD"
}

// secretMissing reports whether it is certain that there is no such Secret.
func secretMissing(ctx context.Context, c *cluster.Cluster, name string) bool {
	if name == "" {
		return false
	}
	_, err := c.Typed.CoreV1().Secrets(c.Namespace).Get(ctx, name, metav1.GetOptions{})
	return apierrors.IsNotFound(err)
}

// secretUnread is a kubelet's event when it pulls without a pod's pull secret.
// That passes: a kubelet may ask for a new pod's Secret before the API server's
// node authorizer knows that the pod needs it, is refused, and asks again.
const secretUnread = "FailedToRetrieveImagePullSecret"

// pulledWithoutSecret reports whether the youngest pull that failed went without the pull
// secret, which a kubelet says as it begins the pull.
func pulledWithoutSecret(warnings []corev1.Event) bool {
	failed := lastPull(warnings).LastTimestamp
	return slices.ContainsFunc(warnings, func(e corev1.Event) bool {
		return e.Reason == secretUnread && failed.Sub(e.LastTimestamp.Time) < secretUnreadWithin
	})
}

// secretUnreadWithin is how long a pull may take that a registry refuses; between
// two tries of a kubelet there are ten seconds or more.
const secretUnreadWithin = 9 * time.Second

// loginSigns are of refusals for want of a login.
var loginSigns = append([]string{"403", "denied"}, wantedSigns...)

// certainSigns are of other refusals that come again however often a kubelet
// tries.
var certainSigns = []string{"HTTP response to HTTPS client", "x509:", "not found", "manifest unknown", "no match for platform", "InvalidImageName", "couldn't parse image"}

// pullReason shortens a container runtime's chain of messages to its end and
// adds what to do.
func pullReason(image, message string, login pullLogin) string {
	text := "cannot pull " + imageName(image)
	if cause := pullCause(image, message); cause != "" {
		text += ": " + cause
	}
	host, _, _ := strings.Cut(image, "/")
	if slices.ContainsFunc(wantedSigns, func(sign string) bool { return strings.Contains(message, sign) }) {
		return text + " (" + strings.ReplaceAll(login.hint(message), "HOST", host) + ")"
	}
	for _, h := range pullHints {
		if strings.Contains(message, h.sign) {
			return text + " (" + strings.ReplaceAll(h.hint, "HOST", host) + ")"
		}
	}
	return text
}

// imageName leaves most of a digest out.
func imageName(image string) string {
	name, digest, ok := strings.Cut(image, "@sha256:")
	if !ok {
		return image
	}
	return name + "@sha256:" + constellation.ShortHash(digest)
}

// pullChain are the links of the chain before its useful end. Runtimes quote
// references, whose colons no blank follows.
var pullChain = regexp.MustCompile(`^(rpc error|code = .*|ErrImagePull|ImagePullBackOff|Back-off pulling image .*|Failed to pull image .*|failed to pull and unpack image .*|failed to resolve reference .*|failed to resolve image|failed to do request|failed to copy|failed to authorize|failed to fetch .* token|pulling from host .*|unable to pull image.*|httpReadSeeker|failed open|unexpected status from .*|initializing source .*|pinging container registry .*|reading manifest .*|Error response from daemon|(Head|Get) ".*"|desc = .*)$`)

// pullCause returns the end of the chain.
func pullCause(image, message string) string {
	parts := strings.Split(strings.TrimSpace(message), ": ")
	for len(parts) > 1 && (parts[0] == image || pullChain.MatchString(parts[0])) {
		parts = parts[1:]
	}
	cause := strings.Join(parts, ": ")
	if pullChain.MatchString(cause) && strings.HasPrefix(cause, "Back-off") {
		return ""
	}
	return cause
}

// lastPull returns the youngest of a pod's warnings that says why a pull failed.
func lastPull(warnings []corev1.Event) corev1.Event {
	var last corev1.Event
	for _, e := range warnings {
		if strings.Contains(e.Message, "ailed to pull") {
			last = e
		}
	}
	return last
}
