package rollout_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/kubetest"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/engine"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// fleet are real engines of one launch, with the rights of their service
// account and the files that the installer rendered.
type fleet struct {
	t          *testing.T
	s          *launchtest.Space
	proxy      *kubetest.Proxy
	kubeconfig string // of the engines' account, through proxy
}

func newFleet(t *testing.T, s *launchtest.Space) *fleet {
	t.Helper()
	f := &fleet{t: t, s: s, proxy: kubetest.NewProxy(t, s.Kubeconfig), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	file, err := clientcmd.LoadFromFile(f.proxy.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range file.AuthInfos {
		user.Impersonate = "system:serviceaccount:" + s.Namespace + ":" + render.EngineName
	}
	if err := clientcmd.WriteToFile(*file, f.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return f
}

// files writes what the engines' pods would have mounted now.
func (f *fleet) files(dir string) {
	f.t.Helper()
	routes, err := f.s.Admin.CoreV1().ConfigMaps(f.s.Namespace).Get(f.t.Context(), render.EngineName, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	keys := f.secret(render.EngineName)
	for name, data := range map[string][]byte{
		config.RoutesFile: []byte(routes.Data[config.RoutesFile]), config.KeysFile: keys.Data[config.KeysFile], config.TokenFile: keys.Data[config.TokenFile],
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path+".new", data, 0o600); err != nil {
			f.t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fleet) secret(name string) *corev1.Secret {
	f.t.Helper()
	secret, err := f.s.Admin.CoreV1().Secrets(f.s.Namespace).Get(f.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return secret
}

// member is one engine of a fleet.
type member struct {
	*engine.Engine
	t    *testing.T
	dir  string
	url  string
	log  *waittest.Buffer
	stop func()
}

func (f *fleet) start(dir string) *member {
	f.t.Helper()
	m := &member{t: f.t, dir: dir, log: &waittest.Buffer{}}
	var err error
	m.Engine, err = engine.New(f.t.Context(), engine.Options{
		Dir: dir, Kubeconfig: f.kubeconfig, Namespace: f.s.Namespace, ReloadEvery: 20 * time.Millisecond, Log: slog.New(slog.NewTextHandler(m.log, nil)),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	calls, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	m.url = "http://" + calls.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, calls, nil) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := waittest.Receive(f.t, "the end of the engine", done); err != nil {
			f.t.Errorf("Serve = %v", err)
		}
	})
	f.t.Cleanup(m.stop)
	return m
}

func (m *member) status(method, path, key string) int {
	m.t.Helper()
	request, err := http.NewRequestWithContext(m.t.Context(), method, m.url+path, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Simple "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		m.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func (m *member) ready() bool { return m.status("GET", "/readyz", "") == http.StatusOK }

// knows returns those of keys that may read the status.
func (m *member) knows(keys ...string) string {
	m.t.Helper()
	var known []string
	for _, key := range keys {
		if m.status("GET", "/v1/status", key) == http.StatusOK {
			known = append(known, key)
		}
	}
	return strings.Join(known, " ")
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > time.Minute {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("%s after %v", what, time.Since(begun).Round(time.Millisecond))
}

// soon is until, within a second of a machine that is idle: one that is busy takes
// longer for as many looks, as it does for what they wait for.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	begun, looks := time.Now(), 0
	for !ok() {
		if looks++; looks > 100 {
			t.Fatalf("not within a second, at %d looks in %v: %s", looks, time.Since(begun).Round(time.Millisecond), what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("%s after %v", what, time.Since(begun).Round(time.Millisecond))
}

// kept returns what waits until the API server tells whoever watches, as the
// engines do, that a version is kept.
func (f *fleet) kept() (told func(version int64)) {
	f.t.Helper()
	changes, err := f.s.Admin.CoreV1().Secrets(f.s.Namespace).Watch(f.t.Context(), metav1.ListOptions{
		FieldSelector: "metadata.name=" + config.KeptSecret, ResourceVersion: f.secret(config.KeptSecret).ResourceVersion,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(changes.Stop)
	return func(version int64) {
		f.t.Helper()
		for {
			change := waittest.Receive(f.t, "a change of what is kept", changes.ResultChan())
			secret, ok := change.Object.(*corev1.Secret)
			if !ok {
				f.t.Fatalf("the watch of what is kept ended: %+v", change)
			}
			if strings.Contains(string(secret.Data[config.KeysFile]), fmt.Sprintf(`"version": %d`, version)) {
				return
			}
		}
	}
}

// TestRevokedKeysStayRevoked: what the engines were told is kept at the
// satellite, through restarts with the mothership and the API server away, and
// through deploys of older plans; a newer one counts, and all engines agree within
// a second of its being kept.
func TestRevokedKeysStayRevoked(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		planned := func(version int64, key string) {
			in.Plan.Satellite.AccessVersion = version
			in.Plan.Keys = []bundle.Key{{ID: key, Name: key, SHA256: config.HashKey(key)}}
			if actions := s.MustDeploy(t, in); version > 10 && actions["Secret/"+config.KeptSecret] != apply.Unchanged {
				t.Errorf("version %d: the deploy says %v of what the engines keep, want unchanged", version, actions["Secret/"+config.KeptSecret])
			}
		}
		f := newFleet(t, s)
		planned(10, "revoked")
		old, dir := t.TempDir(), t.TempDir()
		f.files(old)
		f.files(dir)
		one, two := f.start(old), f.start(dir)
		all := []string{"revoked", "made", "deployed"}
		know := func(want string) func() bool {
			return func() bool { return one.knows(all...) == want && two.knows(all...) == want }
		}
		until(t, "both engines are ready", func() bool { return one.ready() && two.ready() })
		until(t, "both know the first key", know("revoked"))
		kept := f.kept()

		one.Take(heartbeat.Access{Version: 20, Keys: []apiv1.HeartbeatKey{{ID: "made", SHA256: config.HashKey("made")}}})
		kept(20)
		soon(t, "the key that was made counts at both, and the revoked one at none", know("made"))

		// They start again, with the mothership away; and first what is kept too.
		one.stop()
		two.stop()
		var asked atomic.Int64
		f.proxy.Away(func(_ int, r *http.Request) bool { // the Secret alone: the endpoints would hold an engine back too
			if !strings.Contains(r.URL.Path, "/secrets") {
				return false
			}
			asked.Add(1)
			return true
		})
		one, two = f.start(old), f.start(dir)
		until(t, "they do not find what is kept", func() bool { return asked.Load() > 3 })
		if one.ready() || two.ready() {
			t.Error("an engine is ready before it knows who may call")
		}
		f.proxy.Away(nil)
		until(t, "both engines are ready again", func() bool { return one.ready() && two.ready() })
		if got := one.knows(all...) + ", " + two.knows(all...); got != "made, made" {
			t.Errorf("engines that are ready again know %q, want the key that was made alone", got)
		}

		planned(15, "revoked") // an older plan, as by a rollback
		f.files(old)
		until(t, "the older keys.json was read", func() bool { return strings.Contains(one.log.String(), "keys.json is older") })
		until(t, "both know the key that was made", know("made"))

		planned(30, "deployed")
		f.files(old) // the kubelet is quicker at one of them
		kept(30)
		soon(t, "the key of the deploy counts at both, and no other", know("deployed"))
	})
}
