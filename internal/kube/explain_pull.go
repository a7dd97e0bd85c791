package kube

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// pullReasons are a waiting container's reasons while its image cannot be
// pulled; a kubelet goes back and forth between them.
var pullReasons = map[string]bool{"ErrImagePull": true, "ImagePullBackOff": true, "ErrImageNeverPull": true, "RegistryUnavailable": true, "InvalidImageName": true}

// pullHints say what to do, by what a container runtime says.
var pullHints = []struct{ sign, hint string }{
	{"server gave HTTP response to HTTPS client", "the registry speaks plain HTTP: tell the nodes' container runtime so (containerd: certs.d/HOST/hosts.toml)"},
	{"x509:", "the nodes do not trust the registry's certificate: give its CA to the nodes' container runtime"},
	{"no basic auth credentials", "the registry wants a login: run 'docker login HOST' here and deploy again, or configure stage.registry.pull_secret=existing:NAME"},
	{"unauthorized", "the registry refuses the pull secret: run 'docker login HOST' here and deploy again, or configure stage.registry.pull_secret=existing:NAME"},
	{"401", "the registry refuses the pull secret: run 'docker login HOST' here and deploy again, or configure stage.registry.pull_secret=existing:NAME"},
	{"authorization failed", "the registry refuses the pull secret: run 'docker login HOST' here and deploy again, or configure stage.registry.pull_secret=existing:NAME"},
	{"403", "the pull secret's account may not pull this"},
	{"denied", "the pull secret's account may not pull this"},
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

// explainPull says in one line why an image cannot be pulled, and gives up the
// sooner when that is certain not to end by itself.
func (c *Cluster) explainPull(ctx context.Context, pod *corev1.Pod, image string, waiting *corev1.ContainerStateWaiting) trouble {
	warnings := c.warnings(ctx, pod)
	message := waiting.Message
	if !strings.Contains(message, "ailed to ") { // an older kubelet that only says that it waits
		if said := lastPull(warnings).Message; said != "" {
			message = said
		}
	}
	says := func(signs []string) bool {
		return slices.ContainsFunc(signs, func(sign string) bool { return strings.Contains(message, sign) })
	}
	switch {
	case says(loginSigns) && pulledBare(warnings):
		return trouble{"secret", "its node could not read the pull secret yet, and the registry wants a login; the node tries again", unreachedFor}
	case says(loginSigns) || says(certainSigns):
		return trouble{"image", pullReason(image, message), certainFor}
	}
	return trouble{"image", pullReason(image, message), unreachedFor}
}

// secretUnread is a kubelet's event when it pulls without a pod's pull secret.
// That passes: a kubelet may ask for a new pod's Secret before the API server's
// node authorizer knows that the pod needs it, is refused, and asks again.
const secretUnread = "FailedToRetrieveImagePullSecret"

// pulledBare says whether the youngest pull that failed went without the pull
// secret, which a kubelet says as it begins the pull.
func pulledBare(warnings []corev1.Event) bool {
	failed := lastPull(warnings).LastTimestamp
	return slices.ContainsFunc(warnings, func(e corev1.Event) bool {
		return e.Reason == secretUnread && failed.Sub(e.LastTimestamp.Time) < secretUnreadFor
	})
}

// secretUnreadFor is how long a pull may take that a registry refuses; between
// two tries of a kubelet there are ten seconds or more.
const secretUnreadFor = 9 * time.Second

// loginSigns are of refusals for want of a login.
var loginSigns = []string{"no basic auth credentials", "unauthorized", "401", "authorization failed", "403", "denied"}

// certainSigns are of other refusals that come again however often a kubelet
// tries.
var certainSigns = []string{"HTTP response to HTTPS client", "x509:", "not found", "manifest unknown", "no match for platform", "InvalidImageName", "couldn't parse image"}

// pullReason shortens a container runtime's chain of messages to its end and
// adds what to do.
func pullReason(image, message string) string {
	text := "cannot pull " + imageName(image)
	if cause := pullCause(image, message); cause != "" {
		text += ": " + cause
	}
	host, _, _ := strings.Cut(image, "/")
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
	if !ok || len(digest) < 12 {
		return image
	}
	return name + "@sha256:" + digest[:12]
}

// pullChain are the links of the chain before its useful end. Runtimes quote
// references, whose colons no blank follows.
var pullChain = regexp.MustCompile(`^(rpc error|code = .*|ErrImagePull|ImagePullBackOff|Back-off pulling image .*|Failed to pull image .*|failed to pull and unpack image .*|failed to resolve reference .*|failed to resolve image|failed to do request|failed to copy|failed to authorize|failed to fetch .* token|pulling from host .*|unable to pull image.*|httpReadSeeker|failed open|unexpected status from .*|initializing source .*|pinging container registry .*|reading manifest .*|Error response from daemon|(Head|Get) ".*"|desc = .*)$`)

// pullCause gives the end of the chain.
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

// lastPull gives the youngest of a pod's warnings that says why a pull failed.
func lastPull(warnings []corev1.Event) corev1.Event {
	var last corev1.Event
	for _, e := range warnings {
		if strings.Contains(e.Message, "ailed to pull") {
			last = e
		}
	}
	return last
}
