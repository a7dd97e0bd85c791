package cluster_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
)

// nodeOf is the part of a kubelet that forwards ports: to this machine's own.
func nodeOf(t *testing.T) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := httpstream.Handshake(r, w, []string{"portforward.k8s.io"}); err != nil {
			return
		}
		var mu sync.Mutex
		problems := map[string]httpstream.Stream{}
		conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			mu.Lock()
			defer mu.Unlock()
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				problems[id] = s
				return nil
			}
			go forwardTo(t.Context(), s.Headers().Get(corev1.PortHeader), s, problems[id])
			return nil
		})
		if conn != nil {
			<-conn.CloseChan()
		}
	})
}

func forwardTo(ctx context.Context, port string, data, problems httpstream.Stream) {
	defer data.Close()     //nolint:errcheck // its end is all that matters
	defer problems.Close() //nolint:errcheck // its end is all that matters
	to, err := new(net.Dialer).DialContext(ctx, "tcp", "127.0.0.1:"+port)
	if err != nil {
		_, _ = io.WriteString(problems, "nobody listens")
		return
	}
	go func() { _, _ = io.Copy(to, data); _ = to.Close() }()
	_, _ = io.Copy(data, to)
}

// podOn makes a pod on a node of a cluster that has no other.
func podOn(t *testing.T, s *launchtest.Space, node http.Handler) {
	t.Helper()
	kubelet := httptest.NewTLSServer(node)
	t.Cleanup(kubelet.Close)
	at, err := url.Parse(kubelet.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	made, err := s.Admin.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + s.Namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: at.Hostname()}}
	made.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port)
	if _, err := s.Admin.CoreV1().Nodes().UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Admin.CoreV1().ServiceAccounts(s.Namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	no := false
	if _, err := s.Admin.CoreV1().Pods(s.Namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "engine"},
		Spec: corev1.PodSpec{
			NodeName: made.Name, AutomountServiceAccountToken: &no,
			Containers: []corev1.Container{{Name: "engine", Image: "engine"}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func role(name string, rules ...rbacv1.PolicyRule) *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
}

// TestForward: connections go through a real API server to a pod's port, with the
// right to create pods/portforward alone; what nobody listens on is said, and so is
// which right is missing.
func TestForward(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		podOn(t, s, nodeOf(t))
		pod := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, _ = w.Write(append([]byte(r.URL.Path+" "), body...))
		}))
		t.Cleanup(pod.Close)
		at, err := url.Parse(pod.URL)
		if err != nil {
			t.Fatal(err)
		}
		port, _ := strconv.Atoi(at.Port())
		may := s.Through(t, s.As(t, "may", role("may", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/portforward"}, Verbs: []string{"create"}})), cluster.RetryPolicy{Budget: time.Second})
		forward, err := may.ForwardTo(t.Context(), "engine")
		if err != nil {
			t.Fatal(err)
		}
		defer forward.Close() //nolint:errcheck // it ends
		client := &http.Client{Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return forward.Dial(ctx, port) },
			DisableKeepAlives: true,
		}}
		large := strings.Repeat("x", 3<<20)
		for _, body := range []string{"small", large} {
			answer, err := client.Post("http://engine/path", "text/plain", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if err != nil || string(got) != "/path "+body {
				t.Errorf("answer = %.50s (%d bytes), %v", got, len(got), err)
			}
		}
		unheard, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, closed, _ := net.SplitHostPort(unheard.Addr().String())
		_ = unheard.Close()
		port, _ = strconv.Atoi(closed)
		if _, err := client.Get("http://engine/"); err == nil || !strings.Contains(err.Error(), "nobody listens") {
			t.Errorf("a port that nobody listens on: error = %v", err)
		}
		mayNot := s.Through(t, s.As(t, "may-not", role("may-not", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}})), cluster.RetryPolicy{})
		if _, err := mayNot.ForwardTo(t.Context(), "engine"); !errors.Is(err, cluster.ErrNoForward) || !strings.Contains(err.Error(), "create pods/portforward") {
			t.Errorf("without the right: error = %v, want which is missing", err)
		}
		if _, err := may.ForwardTo(t.Context(), "nobody"); err == nil || errors.Is(err, cluster.ErrNoForward) || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("a pod that is not there: error = %v", err)
		}
	})
}
