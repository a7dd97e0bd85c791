package install_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// A disturbance is what befalls one request, before or after the real part behind
// it has seen it.
type disturbance struct {
	befall func(w http.ResponseWriter, r *http.Request, next http.Handler)
	code   fault.Code // of a run that the fault ends; 0 when it must go through
}

// idle is how long the tests wait on a connection that stands still.
const idle = 500 * time.Millisecond

func status(code int, body string, header ...string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// faults are what breaks on the way: each is tried at each verb.
func faults() map[string]disturbance {
	return map[string]disturbance{
		"reset before": {befall: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { reset(w) }},
		"reset after": {befall: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(httptest.NewRecorder(), r) // it was done, and nobody hears of it
			reset(w)
		}},
		"reset in the request": {befall: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.Body = io.NopCloser(io.LimitReader(r.Body, r.ContentLength/2))
			next.ServeHTTP(httptest.NewRecorder(), r)
			reset(w)
		}},
		"truncated": {befall: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			next.ServeHTTP(&mangled{ResponseWriter: w, cut: true}, r)
			reset(w)
		}},
		"corrupted": {befall: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.Body = &flipped{r.Body}
			next.ServeHTTP(&mangled{ResponseWriter: w}, r)
		}, code: -1},
		"stalled": {befall: func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
			select { // a server hears of a client that left only once it has read the body
			case <-r.Context().Done():
			case <-time.After(10 * idle):
			}
		}},
		"429": {befall: status(http.StatusTooManyRequests, "", "Retry-After", "0")},
		"500": {befall: status(http.StatusInternalServerError, "")},
		"503": {befall: status(http.StatusServiceUnavailable, "<html>")},
		"401": {befall: status(http.StatusUnauthorized, `{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}`), code: fault.CodeAuth},
		"403": {befall: status(http.StatusForbidden, `{"errors":[{"code":"DENIED","message":"no"}]}`), code: fault.CodeAuth},
		"404": {befall: status(http.StatusNotFound, `{"errors":[{"code":"NAME_UNKNOWN","message":"no"}]}`), code: -1},
		"409": {befall: status(http.StatusConflict, ""), code: -1},
	}
}

func reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = connection.Close()
}

// mangled flips a bit of an answer's body, or lets half of it out.
type mangled struct {
	http.ResponseWriter
	cut bool
}

func (m *mangled) Write(p []byte) (int, error) {
	out := append([]byte(nil), p...)
	if m.cut {
		out = out[:len(out)/2]
	} else if len(out) > 0 {
		out[len(out)/2] ^= 1
	}
	_, err := m.ResponseWriter.Write(out)
	return len(p), err
}

// flipped flips a bit of a request's body.
type flipped struct{ io.ReadCloser }

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if n > 0 {
		p[n/2] ^= 1
	}
	return n, err
}

// every returns the requests at which a fault is tried: all of them in a
// thorough run, some of them in a quick one.
func every(fault, requests int) []int {
	step := 8
	if thorough() > 0 {
		step = 1
	}
	var at []int
	for i := fault % step; i < requests; i += step {
		at = append(at, i)
	}
	return at
}

// thorough is how many rounds of faults are wanted; 0 is a quick run.
func thorough() int {
	n, _ := strconv.Atoi(os.Getenv("CONSTELLATION_FAULT_ROUNDS"))
	return n
}

// wantEnd fails unless a run with a fault ended well or as the fault may end.
func wantEnd(t *testing.T, err error, f disturbance) {
	t.Helper()
	if err == nil {
		return
	}
	var coded interface{ ExitCode() int }
	switch {
	case f.code == 0:
		t.Errorf("the run did not get over it: %v", err)
	case !asCoded(err, &coded):
		t.Errorf("error %v has no exit code", err)
	case f.code > 0 && coded.ExitCode() != int(f.code) && coded.ExitCode() != int(fault.CodeNetwork) && coded.ExitCode() != int(fault.CodeFailed):
		t.Errorf("error %v has the exit code %d, want %d", err, coded.ExitCode(), f.code)
	}
	if strings.Contains(err.Error(), goodKey) {
		t.Errorf("error %v shows the key", err)
	}
}

// onlyRight fails when a file has a digest's name and other bytes.
func onlyRight(t *testing.T, f store.Folder) {
	t.Helper()
	entries, err := os.ReadDir(f.Path("bundle", "blobs", "sha256"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue // a temporary file that a killed run left
		}
		data, err := os.ReadFile(f.Path("bundle", "blobs", "sha256", entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if got := digestOf(data); got != "sha256:"+entry.Name() {
			t.Errorf("%s holds %s", entry.Name(), got)
		}
	}
}

func TestGetAtEveryFault(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	m := newMother(t, key, 1, 300_000)
	mustGet(t, folder(t), m.options())
	requests := int(m.requests.Load())
	number := 0
	for name, fault := range faults() {
		for _, at := range every(number, requests) {
			t.Run(fmt.Sprintf("%s at %d", name, at), func(t *testing.T) {
				t.Parallel()
				var seen atomic.Int64
				front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if int(seen.Add(1)) == at+1 {
						fault.befall(w, r, http.HandlerFunc(m.serve))
						return
					}
					m.serve(w, r)
				}))
				t.Cleanup(front.Close)
				f, o := folder(t), m.options()
				o.Mothership, o.Idle = front.URL, idle
				_, err := install.Get(t.Context(), f, o)
				wantEnd(t, err, fault)
				onlyRight(t, f)
				mustGet(t, f, o)
				if _, err := install.Verify(t.Context(), f, "", o.Progress); err != nil {
					t.Errorf("Verify: %v", err)
				}
			})
		}
		number++
	}
}

func TestPushAtEveryFault(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := newMother(t, newKey(t), 1, 300_000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+p.host+"/count")
	mustPush(t, f, pushOptions())
	requests := p.count("")
	number := 0
	for name, fault := range faults() {
		for _, at := range every(number, requests) {
			t.Run(fmt.Sprintf("%s at %d", name, at), func(t *testing.T) {
				t.Parallel()
				p := newPrivate(t)
				var seen atomic.Int64
				p.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
					if int(seen.Add(1)) == at+1 {
						fault.befall(w, r, next)
						return
					}
					next.ServeHTTP(w, r)
				})
				there := copyOf(t, f, m)
				configure(t, there, "stage.container_registry="+p.host+"/team")
				o := pushOptions()
				o.Idle = idle
				_, err := install.Push(t.Context(), there, o)
				wantEnd(t, err, fault)
				wantPulled(t, mustPush(t, there, o))
			})
		}
		number++
	}
}

// A token server whose tokens work for so many requests and no longer.
func TestPushWithTokensThatExpire(t *testing.T) {
	p := newPrivate(t)
	_, f := gotten(t, p, 300_000)
	login(t, p.host, "zion")
	var mu sync.Mutex
	left := map[string]int{} // requests that a token is good for
	p.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path == "/token" {
			if user, password, _ := r.BasicAuth(); user != "neo" || password != "zion" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			fresh := rand.Text()
			mu.Lock()
			left["Bearer "+fresh] = 3
			mu.Unlock()
			fmt.Fprintf(w, `{"token":%q}`, fresh)
			return
		}
		mu.Lock()
		left[r.Header.Get("Authorization")]--
		good := left[r.Header.Get("Authorization")] >= 0
		mu.Unlock()
		if !good {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="private",scope="repository:team/x:pull,push"`, p.URL))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
	o := pushOptions()
	for range 40 { // few requests a token: runs go on where the last one stopped
		if _, err := install.Push(t.Context(), f, o); err == nil {
			break
		}
	}
	result := mustPush(t, f, o)
	p.behave(nil)
	wantPulled(t, result)
}

// A machine whose clock is wrong by a day sees certificates of another time:
// the mothership's, the registry's and the cluster's. What was downloaded
// needs no clock.
func TestAClockThatIsWrongByADay(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	secure, ca := serverOfTomorrow(t, http.HandlerFunc(m.serve))
	o := m.options()
	o.Mothership, o.TLS.CAFile = secure, ca
	_, err := install.Get(t.Context(), f, o)
	wantCode(t, err, fault.CodeNetwork, "this machine's clock says", "set the clock")

	mustGet(t, f, m.options())
	for _, name := range []string{"launch.json", "work/verified.json"} { // as a clock that was put right leaves them
		tomorrow := time.Now().Add(24 * time.Hour)
		if err := os.Chtimes(f.Path(name), tomorrow, tomorrow); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := install.Verify(t.Context(), f, "", o.Progress); err != nil {
		t.Errorf("Verify: %v", err)
	}
	registry, ca := serverOfTomorrow(t, p.Config.Handler)
	configure(t, f, "stage.container_registry="+strings.TrimPrefix(registry, "https://")+"/team", "stage.registry.ca_file="+ca)
	_, err = install.Push(t.Context(), f, pushOptions())
	wantCode(t, err, fault.CodeNetwork, "this machine's clock says", "set the clock")

	cluster, ca := serverOfTomorrow(t, http.NotFoundHandler())
	kubeconfig := anyKubeconfig(t)
	data, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	data = []byte(strings.Replace(string(data), `{server: "http://127.0.0.1:1"}`, fmt.Sprintf("{server: %q, certificate-authority: %q}", cluster, ca), 1))
	if err := os.WriteFile(kubeconfig, data, 0o600); err != nil {
		t.Fatal(err)
	}
	configure(t, f, "stage.container_registry="+p.host+"/team", "stage.registry.ca_file=", "stage.kubernetes.kubeconfig_path="+kubeconfig, "stage.kubernetes.namespace=algorithms")
	_, err = install.Deploy(t.Context(), f, install.DeployOptions{Timeout: time.Minute, RetryTimeout: time.Minute, Progress: progress.New(io.Discard)})
	wantCode(t, err, fault.CodePreflight, "this machine's clock says", "set the clock")
}
