// Package kubetest stands between the installer and a real API server in
// tests: it counts requests, makes the server be away, and breaks its answers.
package kubetest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Proxy forwards to an API server with the credentials of its kubeconfig.
type Proxy struct {
	Kubeconfig string // of the proxy: whoever has it has the credentials

	mu       sync.Mutex
	settled  *sync.Cond // no write is on its way
	writing  int
	requests []*http.Request
	fault    func(n int, r *http.Request) Fault
}

// NewProxy stands before the API server of a kubeconfig until the test ends.
func NewProxy(t *testing.T, kubeconfig string) *Proxy {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	p.settled = sync.NewCond(&p.mu)
	forward := &httputil.ReverseProxy{Transport: transport, FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if IsWrite(r) { // it comes through, whatever becomes of who sent it
			p.write(1)
			defer p.write(-1)
			// One that can be cancelled, and is not: without such the reverse
			// proxy ends the request itself when the sender's connection closes.
			ctx, done := context.WithCancel(context.WithoutCancel(r.Context()))
			defer done()
			r = r.WithContext(ctx)
		}
		if fault := p.next(r); fault != nil {
			fault(w, r, forward)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	file := clientcmdapi.NewConfig()
	file.Clusters["proxy"] = &clientcmdapi.Cluster{Server: server.URL}
	file.AuthInfos["proxy"] = &clientcmdapi.AuthInfo{}
	file.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy", AuthInfo: "proxy"}
	file.CurrentContext = "proxy"
	if err := clientcmd.WriteToFile(*file, p.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	return p
}

// Away makes the server be away for those requests for which away is true; n
// counts requests from 1 on, and starts again with each call of Away or Befall.
func (p *Proxy) Away(away func(n int, r *http.Request) bool) {
	p.Befall(func(n int, r *http.Request) Fault {
		if away != nil && away(n, r) {
			return Refused
		}
		return nil
	})
}

// Befall gives each request the fault that is returned for it, nil for none.
// It is called by one request at a time.
func (p *Proxy) Befall(fault func(n int, r *http.Request) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.requests = fault, nil
}

func (p *Proxy) next(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
	if p.fault == nil {
		return nil
	}
	return p.fault(len(p.requests), r)
}

// Settle waits until no write is on its way to the server: one goes on when
// its sender has gone.
func (p *Proxy) Settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.writing > 0 {
		p.settled.Wait()
	}
}

// write notes that a write begins, or ends.
func (p *Proxy) write(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writing += n; p.writing == 0 {
		p.settled.Broadcast()
	}
}

// Writes returns the requests since the last Away that are no reads and no
// reviews of rights, which change nothing: "PATCH /api/v1/…".
func (p *Proxy) Writes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var writes []string
	for _, r := range p.requests {
		if IsWrite(r) {
			writes = append(writes, r.Method+" "+r.URL.RequestURI())
		}
	}
	return writes
}

// IsWrite reports whether a request can change something on the server.
func IsWrite(r *http.Request) bool {
	review, _ := filepath.Match("/apis/authorization.k8s.io/v1/selfsubject*reviews", r.URL.Path)
	return r.Method != http.MethodGet && !review
}
