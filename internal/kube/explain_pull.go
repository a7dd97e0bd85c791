package kube

import (
	"context"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// explainPull says in one line why an image cannot be pulled, and whether that
// is certain not to end by itself.
func (c *Cluster) explainPull(ctx context.Context, pod *corev1.Pod, image string, waiting *corev1.ContainerStateWaiting) (reason string, certain bool) {
	message := waiting.Message
	if !strings.Contains(message, "ailed to ") { // an older kubelet that only says that it waits
		if said := c.pullEvent(ctx, pod); said != "" {
			message = said
		}
	}
	return pullReason(image, message), slices.ContainsFunc(certainSigns, func(sign string) bool { return strings.Contains(message, sign) })
}

// certainSigns are of refusals that come again however often a kubelet tries.
var certainSigns = []string{"HTTP response to HTTPS client", "x509:", "no basic auth credentials", "unauthorized", "authorization failed",
	"401", "403", "denied", "not found", "manifest unknown", "no match for platform", "InvalidImageName", "couldn't parse image"}

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

// pullEvent gives the youngest event about a pod that says why a pull failed.
func (c *Cluster) pullEvent(ctx context.Context, pod *corev1.Pod) string {
	events, err := c.typed.CoreV1().Events(c.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.name=" + pod.Name + ",type=Warning",
	})
	if err != nil {
		return ""
	}
	var last *corev1.Event
	for i := range events.Items {
		e := &events.Items[i]
		if strings.Contains(e.Message, "ailed to pull") && (last == nil || !e.LastTimestamp.Before(&last.LastTimestamp)) {
			last = e
		}
	}
	if last == nil {
		return ""
	}
	return last.Message
}
