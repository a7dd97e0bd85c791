package heartbeat

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// realAPIServer starts a kube-apiserver with etcd.
func realAPIServer(t *testing.T) *rest.Config {
	t.Helper()
	server, err := clientcmd.BuildConfigFromFlags("", kubetest.StartAPIServer(t))
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// TestLease: one of two engines holds it; the other takes it when it is
// released; and whoever has it keeps it while the API server is away.
func TestLease(t *testing.T) {
	server := realAPIServer(t)
	log := slog.New(slog.DiscardHandler)
	var away atomic.Bool
	way, err := rest.TransportFor(server)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(server.Host)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = way
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	defer gate.Close()
	engine := func(identity string) *Lease {
		l, err := NewLease(&rest.Config{Host: gate.URL}, "default", identity)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	one, two := engine("one"), engine("two")
	holds := func(want1, want2 bool, when string) {
		t.Helper()
		if got1, got2 := one.hold(t.Context(), log), two.hold(t.Context(), log); got1 != want1 || got2 != want2 {
			t.Errorf("%s: one holds %v, two holds %v; want %v, %v", when, got1, got2, want1, want2)
		}
	}
	holds(true, false, "at the start")
	holds(true, false, "again")
	away.Store(true)
	holds(true, false, "while the API server is away")
	away.Store(false)
	holds(true, false, "when it is back")
	one.release(context.WithoutCancel(t.Context()))
	if !two.hold(t.Context(), log) {
		t.Error("a released lease was not taken")
	}
	// A holder that is gone loses it by the clock of who waits.
	if one.hold(t.Context(), log) {
		t.Error("a lease that another renewed a moment ago was taken")
	}
	one.since = one.since.Add(-leaseLasts - time.Second)
	if !one.hold(t.Context(), log) {
		t.Error("a lease whose holder is gone was not taken")
	}
	if two.hold(t.Context(), log) {
		t.Error("the one that was gone still believes that it holds the lease")
	}
}

// annotations returns what engines noted on the Lease.
func annotations(t *testing.T, l *Lease) map[string]string {
	t.Helper()
	lease, err := l.leases.Get(t.Context(), config.LeaseName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return lease.Annotations
}

// What became of the last report is on the Lease, for who looks at the site: why
// it was not taken, cut and in one line, until one is.
func TestLeaseTellsOfReports(t *testing.T) {
	server, log := realAPIServer(t), slog.New(slog.DiscardHandler)
	engine := func(identity string) *Lease {
		l, err := NewLease(server, "default", identity)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	one, two := engine("one"), engine("two")
	one.failed(errors.New("the mothership\n\x1b[2K answers \xff" + strings.Repeat("é", maxProblem)))
	one.hold(t.Context(), log)
	got := annotations(t, one)
	if problem := got[AnnotationProblem]; !strings.HasPrefix(problem, "the mothership \x1b[2K answers �é") || len(problem) > maxProblem+len("…") || got[AnnotationAccepted] != "" {
		t.Errorf("after a failure: %q", got)
	}
	one.release(context.WithoutCancel(t.Context()))
	two.hold(t.Context(), log)
	if annotations(t, two)[AnnotationProblem] == "" {
		t.Error("an engine that did not report yet took back what another was told")
	}
	two.succeeded(7)
	two.hold(t.Context(), log)
	if got := annotations(t, two); got[AnnotationProblem] != "" || got[AnnotationWanted] != "7" || got[AnnotationAccepted] == "" {
		t.Errorf("after a success: %q", got)
	}
	var none *Lease
	none.failed(errors.New("x")) // one engine alone has no Lease
	none.succeeded(1)
}
