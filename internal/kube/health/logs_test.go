package health_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// kubelet serves the log of a container as a kubelet does; a connection ends
// after so many bytes.
type kubelet struct {
	lines []string // each with its time
	cut   int
	asked int
}

func (k *kubelet) answer(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	k.asked++
	since, _ := time.Parse(time.RFC3339, r.URL.Query().Get("sinceTime"))
	var out bytes.Buffer
	for _, line := range k.lines {
		stamp, text, _ := strings.Cut(line, " ")
		if at, _ := time.Parse(time.RFC3339Nano, stamp); at.Before(since) {
			continue
		}
		if r.URL.Query().Get("timestamps") == "true" {
			text = line
		}
		fmt.Fprintln(&out, text)
	}
	if out.Len() <= k.cut {
		_, _ = w.Write(out.Bytes())
		return
	}
	_, _ = w.Write(out.Bytes()[:k.cut])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// makePod makes a pod of the launch that no node runs.
func makePod(t *testing.T, s *launchtest.Space, launch string) {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if _, err := s.Admin.CoreV1().ServiceAccounts(s.Namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "neo", Labels: map[string]string{render.LabelLaunch: launch}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "algorithm", Image: "neo"}}}}
	if _, err := s.Admin.CoreV1().Pods(s.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A log whose connection breaks again and again has each line once, in order,
// also where many lines are of one second.
func TestLogsGoOnBehindTheLastLine(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		launch := launchtest.Input().Plan.Launch.ID
		makePod(t, s, launch)
		k := &kubelet{cut: 300}
		var want strings.Builder
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for i := range 60 {
			if i%5 == 4 { // the streams of a container are not quite in order
				k.lines = append(k.lines, fmt.Sprintf("%s line %d", at.Add(-20*time.Millisecond).Format(time.RFC3339Nano), i))
			} else {
				k.lines = append(k.lines, fmt.Sprintf("%s line %d", at.Format(time.RFC3339Nano), i))
			}
			at = at.Add(270 * time.Millisecond)
			fmt.Fprintf(&want, "neo  line %d\n", i)
		}
		proxy := kubetest.NewProxy(t, s.Kubeconfig)
		proxy.Befall(func(_ int, r *http.Request) kubetest.Fault {
			if strings.HasSuffix(r.URL.Path, "/log") {
				return k.answer
			}
			return nil
		})
		p := s.Through(t, proxy.Kubeconfig, cluster.RetryPolicy{Budget: time.Minute})
		var got bytes.Buffer
		if err := health.WriteLogs(t.Context(), p.Cluster, launch, health.LogOptions{Tail: -1}, &got); err != nil || got.String() != want.String() {
			t.Errorf("Logs = %v after %d connections:\n%s", err, k.asked, got.String())
		}
		k.cut = 0
		impatient := s.Through(t, proxy.Kubeconfig, cluster.RetryPolicy{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := health.WriteLogs(ctx, impatient.Cluster, launch, health.LogOptions{Tail: -1}, &got); !errors.Is(err, cluster.ErrUnreachable) {
			t.Errorf("Logs of a kubelet that says nothing = %v, want an ErrUnreachable", err)
		}
	})
}

// Of one call only the lines are shown that have its request ID, and none is told.
func TestLogsOfARequest(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		launch := launchtest.Input().Plan.Launch.ID
		makePod(t, s, launch)
		k := &kubelet{cut: 1 << 20, lines: []string{
			"2026-01-02T03:04:05Z a call req-1 came", "2026-01-02T03:04:05Z another req-2 came", "2026-01-02T03:04:06Z req-1 ended \x1b[2J"}}
		proxy := kubetest.NewProxy(t, s.Kubeconfig)
		proxy.Befall(func(_ int, r *http.Request) kubetest.Fault {
			if strings.HasSuffix(r.URL.Path, "/log") {
				return k.answer
			}
			return nil
		})
		p := s.Through(t, proxy.Kubeconfig, cluster.RetryPolicy{Budget: time.Minute})
		var got bytes.Buffer
		err := health.WriteLogs(t.Context(), p.Cluster, launch, health.LogOptions{Tail: -1, Request: "req-1"}, &got)
		if want := "neo  a call req-1 came\nneo  req-1 ended \x1b[2J\n"; err != nil || got.String() != want {
			t.Errorf("Logs = %v:\n%q, want\n%q", err, got.String(), want)
		}
		got.Reset()
		if err := health.WriteLogs(t.Context(), p.Cluster, launch, health.LogOptions{Tail: -1, Request: "req-3"}, &got); !errors.Is(err, health.ErrNoLine) || got.Len() > 0 {
			t.Errorf("Logs of a call that was not = %v: %s", err, got.String())
		}
	})
}
