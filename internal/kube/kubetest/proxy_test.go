package kubetest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/constellation-serving/constellation/internal/waittest"
)

// TestWritesComeThrough: a write goes on when its sender has gone, and Settle waits
// for it.
func TestWritesComeThrough(t *testing.T) {
	t.Parallel()
	arrived, release, outcome := make(chan bool), make(chan bool), make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			return
		}
		close(arrived)
		select {
		case <-r.Context().Done():
			outcome <- "cut off"
		case <-release:
			outcome <- "through"
		}
	}))
	t.Cleanup(server.Close)
	file := clientcmdapi.NewConfig()
	file.Clusters["server"] = &clientcmdapi.Cluster{Server: server.URL}
	file.Contexts["server"] = &clientcmdapi.Context{Cluster: "server"}
	file.CurrentContext = "server"
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*file, kubeconfig); err != nil {
		t.Fatal(err)
	}
	p := NewProxy(t, kubeconfig)
	config, err := clientcmd.BuildConfigFromFlags("", p.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	send := func(ctx context.Context, method string) error {
		request, err := http.NewRequestWithContext(ctx, method, config.Host, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			err = response.Body.Close()
		}
		return err
	}
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- send(ctx, http.MethodPost) }()
	waittest.Receive(t, "the write", arrived)
	leave()
	if err := waittest.Receive(t, "the sender", gone); err == nil {
		t.Fatal("the write was answered")
	}
	if err := send(t.Context(), http.MethodGet); err != nil { // meanwhile the proxy notices
		t.Fatal(err)
	}
	close(release)
	if got := waittest.Receive(t, "the write's end", outcome); got != "through" {
		t.Errorf("the write was %s", got)
	}
	p.Settle()
}
