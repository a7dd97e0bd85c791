package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/identity/identitytest"
)

// TestEdges: where policies are enforced and callers come by TLS alone, calls go as
// before, and nothing else goes.
func TestEdges(t *testing.T) {
	j := start(t)
	j.walk(t, []step{
		{"push images of Debian packages", (*journey).pushPipes},
		{"deploy", (*journey).deployPipes},
		{"callers come by TLS alone, through the Ingress too", (*journey).onlyTLS},
		{"algorithms reach what is listed, and nothing else", (*journey).egressEnforced},
	})
}

// onlyTLS has the Ingress reach the engine by HTTPS.
func (j *journey) onlyTLS(t *testing.T) {
	j.site = &site{authority: identitytest.NewAuthority(t, "site")}
	certificate, key := j.site.authority.Issue(t, nil, siteHost)
	_, err := j.kube.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "tls"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	j.operate(t, "configure", "stage.tls.secret=tls", "stage.tls.only=true", "stage.ingress.host="+siteHost, "stage.ingress.tls_secret=tls")
	j.operate(t, "deploy")
	ingress, err := j.kube.NetworkingV1().Ingresses(namespace).Get(t.Context(), render.EngineName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if backend := ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Port; backend.Name != "https" && backend.Number != 443 {
		t.Errorf("the Ingress leads to port %+v, want that of HTTPS", backend)
	}
	j.answersByTLS(t)
}

// answersByTLS calls an algorithm through the Ingress.
func (j *journey) answersByTLS(t *testing.T) {
	t.Helper()
	client := j.through(t, j.ingressAddress(t))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) { // the controller takes a moment
		status, answer := j.ask(t, client, "Simple "+j.key, same, "text/plain", "Neo")
		if status == http.StatusOK && strings.Contains(answer, "Hello Neo") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("through the Ingress a call = %d %.300s", status, answer)
		}
	}
}

// The addresses of the world outside, all of which lead to one pod: an algorithm's,
// which listens at 9999 alone.
const (
	listed   = "203.0.113.7"
	unlisted = "203.0.113.8"
	inRange  = "198.51.100.9"
	metadata = "169.254.169.254"
)

func (j *journey) egressEnforced(t *testing.T) {
	world := j.podOf(t, "pipe/shell")
	j.makeWorld(t, world.Status.PodIP)
	bystander := j.bystander(t)
	engine := j.engine(t)
	j.operate(t, "configure", "stage.egress."+same+"="+listed+":9999,198.51.100.0/24:*")
	j.operate(t, "deploy")
	pod := j.podOf(t, same)
	if got := j.reach(t, pod.Status.PodIP, metadata+":9999"); got != open {
		t.Fatalf("nothing is enforced yet, and %s is %s", metadata, got)
	}
	j.enforce(t)
	host := j.Cluster.HostAddress + ":5001"
	want := map[string]string{
		listed + ":9999": open, listed + ":80": shut, unlisted + ":9999": shut, inRange + ":9999": open, inRange + ":80": closed,
		metadata + ":9999": shut, engine + ":8080": open, world.Status.PodIP + ":9999": shut, bystander + ":9999": shut, host: shut,
	}
	j.reaches(t, "with a list", pod.Status.PodIP, want)
	j.reaches(t, "a pod that is not the launch's", bystander, map[string]string{engine + ":8443": open, engine + ":8080": shut, engine + ":9090": shut, pod.Status.PodIP + ":9999": shut, host: open})
	j.reaches(t, "the network of an image without a list", world.Status.PodIP, map[string]string{host: open, pod.Status.PodIP + ":9999": shut, engine + ":9090": shut})
	j.answersByTLS(t)
	j.operate(t, "configure", "stage.egress."+same+"=0.0.0.0/0:9999")
	j.operate(t, "deploy")
	j.reaches(t, "with all the world at one port", pod.Status.PodIP, map[string]string{
		listed + ":9999": open, unlisted + ":9999": open, unlisted + ":80": shut, metadata + ":9999": shut, host: shut, engine + ":8080": open,
	})
	j.answersByTLS(t)
	j.denied(t, bystander, engine, host)
	if now := j.podOf(t, same); now.Name != pod.Name {
		t.Errorf("a list replaced the pod %s by %s", pod.Name, now.Name)
	}
}

// denied: what the launch's default is for a pod of it that no other policy is for.
func (j *journey) denied(t *testing.T, address, engine, host string) {
	t.Helper()
	policy, err := j.kube.NetworkingV1().NetworkPolicies(namespace).Get(t.Context(), "default-deny", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	labels, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": policy.Spec.PodSelector.MatchLabels}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.kube.CoreV1().Pods(namespace).Patch(t.Context(), "bystander", types.MergePatchType, labels, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	j.reaches(t, "a pod of the launch without a policy of its own", address, map[string]string{
		engine + ":8443": shut, engine + ":8080": shut, host: shut, listed + ":9999": shut, metadata + ":9999": shut,
	})
}

// makeWorld leads addresses outside of the cluster to a pod, in the cluster's network
// alone.
func (j *journey) makeWorld(t *testing.T, address string) {
	t.Helper()
	pid, err := clusterPID(j.Dir + "/cluster")
	if err != nil {
		t.Fatal(err)
	}
	node, pod := &enforcer{cluster: pid}, &enforcer{cluster: j.podNetwork(t, address)}
	for _, at := range []string{listed, unlisted, inRange, metadata} {
		err := errors.Join(node.inside(t.Context(), "", "ip", "route", "add", at+"/32", "via", address), pod.inside(t.Context(), "", "ip", "addr", "add", at+"/32", "dev", "lo"))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// bystander is a pod of the namespace that is none of the launch's.
func (j *journey) bystander(t *testing.T) string {
	t.Helper()
	container := (&mesh{image: j.podOf(t, same).Spec.Containers[0].Image}).container()
	container.Name, container.Command = "bystander", []string{"/usr/bin/python3", "-m", "http.server", "9999"}
	ctx, pods := t.Context(), j.kube.CoreV1().Pods(namespace)
	grace := int64(0)
	_, err := pods.Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "bystander"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{container}, TerminationGracePeriodSeconds: &grace, ImagePullSecrets: j.podOf(t, same).Spec.ImagePullSecrets,
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		pod, err := pods.Get(ctx, "bystander", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if pod.Status.Phase == corev1.PodRunning && j.reach(t, pod.Status.PodIP, pod.Status.PodIP+":9999") == open {
			return pod.Status.PodIP
		}
		if time.Now().After(deadline) {
			t.Fatalf("the pod is %+v", pod.Status)
		}
	}
}

func (j *journey) engine(t *testing.T) string {
	t.Helper()
	pods, err := j.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + render.EngineName})
	if err != nil {
		t.Fatal(err)
	}
	pods.Items = slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
	return pods.Items[0].Status.PodIP
}

// What becomes of a connection.
const (
	open   = "open"
	closed = "let through, and nobody listens"
	shut   = "shut by a policy"
)

// reach connects from a pod.
func (j *journey) reach(t *testing.T, from, to string) string {
	t.Helper()
	err := within(j.podNetwork(t, from), func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		connection, err := new(net.Dialer).DialContext(ctx, "tcp4", to)
		if err == nil {
			err = connection.Close()
		}
		return err
	})
	switch {
	case err == nil:
		return open
	case errors.Is(err, syscall.ECONNREFUSED):
		return closed
	case errors.Is(err, syscall.EHOSTUNREACH):
		return shut
	}
	return err.Error()
}

// reaches wants what a pod reaches, as soon as the policies are enforced.
func (j *journey) reaches(t *testing.T, what, from string, want map[string]string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		got := map[string]string{}
		for to := range want {
			got[to] = j.reach(t, from, to)
		}
		diff := cmp.Diff(want, got)
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s (-want +got):\n%s", what, fmt.Sprint(diff))
			return
		}
	}
}
