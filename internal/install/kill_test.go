package install_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/kubetest"
)

// TestMain lets the test program be the installer that is killed.
func TestMain(m *testing.M) {
	switch verb := os.Getenv("INSTALL_TEST_VERB"); verb {
	case "":
		os.Exit(m.Run())
	default:
		os.Exit(victim(verb))
	}
}

func victim(verb string) int {
	f := store.Folder{Root: os.Getenv("INSTALL_TEST_ROOT"), SatelliteID: satelliteID, LaunchID: launchID}
	ctx := context.Background() // of a process that only a signal ends
	noWait := func(int) time.Duration { return 0 }
	var err error
	switch verb {
	case "get":
		_, err = install.Get(ctx, f, install.GetOptions{Mothership: os.Getenv("INSTALL_TEST_URL"), Key: goodKey, Progress: progress.New(os.Stderr), Backoff: noWait})
	case "push":
		_, err = install.Push(ctx, f, install.PushOptions{Progress: progress.New(os.Stderr), Backoff: noWait})
	case "deploy":
		_, err = install.Deploy(ctx, f, install.DeployOptions{NoWait: true, Timeout: time.Minute, Progress: progress.New(os.Stderr)})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// killed runs the installer in a process of its own, which kill ends.
func killed(t *testing.T, verb, root, url string, started func(kill func())) {
	t.Helper()
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), "INSTALL_TEST_VERB="+verb, "INSTALL_TEST_ROOT="+root, "INSTALL_TEST_URL="+url)
	var said bytes.Buffer
	command.Stderr = &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	started(func() { _ = command.Process.Kill() })
	err := command.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() > 0 {
		t.Errorf("%s ended by itself: %v: %s", verb, err, said.String())
	}
}

// kill -9 as each request of a get arrives, and when half of its answer is out.
func TestGetKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	m, f := newMother(t, newKey(t), 1, 300_000), folder(t)
	var at, seen atomic.Int64
	var kill atomic.Pointer[func()]
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := seen.Add(1); n == at.Load() {
			if k := kill.Load(); k != nil {
				m.serve(&mangled{ResponseWriter: w, cut: true}, r)
				_ = http.NewResponseController(w).Flush()
				(*k)()
				return
			}
		}
		m.serve(w, r)
	}))
	t.Cleanup(front.Close)
	step := int64(3)
	if thorough() > 0 {
		step = 1
	}
	for n := int64(1); n < 40; n += step {
		at.Store(n)
		seen.Store(0)
		killed(t, "get", f.Root, front.URL, func(k func()) { kill.Store(&k) })
		kill.Store(nil)
		onlyRight(t, f)
	}
	mustFinishGet(t, m, f)
	for range thorough() * 20 { // and at any moment between
		fresh := folder(t)
		killed(t, "get", fresh.Root, front.URL, func(k func()) { time.AfterFunc(mathrand.N(80*time.Millisecond), k) })
		onlyRight(t, fresh)
		mustFinishGet(t, m, fresh)
	}
}

func mustFinishGet(t *testing.T, m *mother, f store.Folder) {
	t.Helper()
	mustGet(t, f, m.options())
	if _, err := install.Verify(t.Context(), f, "", m.options().Progress); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

// kill -9 as each request of a push arrives, before and after it is done.
func TestPushKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	_, f := gotten(t, p, 300_000)
	step := 3
	if thorough() > 0 {
		step = 1
	}
	for n := 1; n < 30; n += step {
		var seen atomic.Int64
		var kill atomic.Pointer[func()]
		p.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if seen.Add(1) != int64(n) {
				next.ServeHTTP(w, r)
				return
			}
			if n%2 == 0 {
				next.ServeHTTP(httptest.NewRecorder(), r)
			}
			for kill.Load() == nil && r.Context().Err() == nil {
				time.Sleep(time.Millisecond) // until the test knows the process
			}
			(*kill.Load())()
		})
		killed(t, "push", f.Root, "", func(k func()) { kill.Store(&k) })
	}
	p.behave(nil)
	wantPulled(t, mustPush(t, f, pushOptions()))
	for range thorough() * 20 {
		fresh := newPrivate(t)
		configure(t, f, "stage.container_registry="+fresh.host+"/team")
		killed(t, "push", f.Root, "", func(k func()) { time.AfterFunc(mathrand.N(80*time.Millisecond), k) })
		wantPulled(t, mustPush(t, f, pushOptions()))
	}
}

// kill -9 of a deploy as each of its writes arrives at the API server, done or
// not done; the next one goes on, and the end is as without.
func TestDeployKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	proxy, p := kubetest.NewProxy(t, startAPIServer(t)), newPrivate(t)
	_, f := gotten(t, p, 30_000, "stage.kubernetes.kubeconfig_path="+proxy.Kubeconfig, "stage.kubernetes.namespace=algorithms",
		"stage.kubernetes.create_namespace=true", "stage.ingress.provider=none")
	step := 4
	if thorough() > 0 {
		step = 1
	}
	deaths := 0
	for n := 1; ; n += step {
		var kill atomic.Pointer[func()]
		var dead atomic.Bool
		writes, lost := 0, deaths%2 == 0
		proxy.Away(func(_ int, r *http.Request) bool {
			if !kubetest.IsWrite(r) || strings.Contains(r.URL.RawQuery, "dryRun") {
				return false
			}
			if writes++; writes != n {
				return dead.Load()
			}
			for kill.Load() == nil && r.Context().Err() == nil {
				time.Sleep(time.Millisecond) // until the test knows the process
			}
			dead.Store(true)
			(*kill.Load())()
			return lost
		})
		killed(t, "deploy", f.Root, "", func(k func()) { kill.Store(&k) })
		if !dead.Load() {
			break // it had fewer writes to make, and ended by itself
		}
		deaths++
	}
	if deaths < 3 {
		t.Errorf("the deploy was killed %d times, want it at several writes", deaths)
	}
	proxy.Away(nil)
	result, err := install.Deploy(t.Context(), f, install.DeployOptions{NoWait: true, Timeout: time.Minute, Progress: progress.New(io.Discard)})
	if err != nil || len(result.Changes) > 0 || len(proxy.Writes()) > 0 {
		t.Errorf("the deploy after the last one = %+v, %v, with the writes %q; want nothing to do", result, err, proxy.Writes())
	}
}

func digestOf(data []byte) string { return bundle.Digest(data) }

func asCoded(err error, coded *interface{ ExitCode() int }) bool { return errors.As(err, coded) }

// serverOfTomorrow serves with a certificate that is not valid before
// tomorrow; it gives its URL and the CA file.
func serverOfTomorrow(t *testing.T, handler http.Handler) (url, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tomorrow"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(24 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pemOf(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return "https://" + strings.TrimPrefix(server.URL, "https://"), ca
}
