package cluster_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/kubeconfig"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
)

// conf is the pieces of a real API server's kubeconfig, laid out in a folder of
// their own as operators do.
type conf struct {
	dir     string
	server  string
	cluster string // fields of the cluster, for a file in dir
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func newConf(t *testing.T) conf {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", launchtest.Kubeconfig(t, "1.37.2"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"ca.crt": config.CAData, "admin.crt": config.CertData, "admin.key": config.KeyData} {
		write(t, filepath.Join(dir, "pki", name), string(data), 0o600)
	}
	admin, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{GenerateName: "kubeconfig-"}}
	if account, err = admin.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "secrets", "token"), token.Status.Token+"\n", 0o600)
	credential, err := json.Marshal(map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
		"status": map[string]any{"token": token.Status.Token}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "bin", "log-in"), "#!/bin/sh\necho '"+string(credential)+"'\n", 0o700)
	return conf{dir, config.Host, `server: "` + config.Host + `", certificate-authority: pki/ca.crt`}
}

// file writes a kubeconfig with one context, for a user of these fields.
func (c conf) file(t *testing.T, path, cluster, user string) string {
	t.Helper()
	return write(t, filepath.Join(c.dir, path), `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {`+cluster+`}}]
users: [{name: u, user: {`+user+`}}]
`, 0o600)
}

const execPlugin = `exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: `

// Whatever a kubeconfig names relatively is beside the file that names it,
// from whatever folder it is read, as kubectl has it; and lists, proxies, TLS
// names and token files work.
func TestKubeconfigAsKubectlReadsIt(t *testing.T) {
	c := newConf(t)
	proxy, through := connectProxy(t)
	const certificate = "client-certificate: pki/admin.crt, client-key: pki/admin.key"
	below := strings.ReplaceAll(c.cluster, "pki/", "../pki/")
	list := []string{
		c.file(t, "a/cluster", below, "token: unused"),
		write(t, filepath.Join(c.dir, "users"), "apiVersion: v1\nkind: Config\nusers: [{name: admin, user: {"+certificate+"}}]\n", 0o600),
		write(t, filepath.Join(c.dir, "contexts"), "apiVersion: v1\nkind: Config\ncontexts: [{name: listed, context: {cluster: k, user: admin}}]\n", 0o600),
		filepath.Join(c.dir, "not there"),
	}
	t.Chdir(t.TempDir())
	for _, test := range []struct{ name, path, context string }{
		{"relative files", c.file(t, "relative", c.cluster, certificate), ""},
		{"token file", c.file(t, "token", c.cluster, "tokenFile: secrets/token"), ""},
		{"plugin beside it", c.file(t, "bin/exec", below, execPlugin+"./log-in}"), ""},
		{"plugin below it", c.file(t, "exec", c.cluster, execPlugin+"bin/log-in}"), ""},
		{"plugin above it", c.file(t, "a/b/exec", strings.ReplaceAll(c.cluster, "pki/", "../../pki/"), execPlugin+"../../bin/log-in}"), ""},
		{"a list", strings.Join(list, string(filepath.ListSeparator)), "listed"},
		{"proxy", c.file(t, "proxy", c.cluster+`, proxy-url: "`+proxy+`"`, certificate), ""},
		{"TLS name", c.file(t, "name", c.cluster+`, tls-server-name: "`+nameOf(t, c.server)+`"`, certificate), ""},
	} {
		if err := kubeconfig.Check(test.path, test.context); err != nil {
			t.Errorf("%s: Check: %v", test.name, err)
		}
		connected, err := cluster.Connect(t.Context(), test.path, test.context, "default", cluster.RetryPolicy{})
		if err != nil || connected.Version != "v1.37.2" {
			t.Errorf("%s: Connect: %v", test.name, err)
		}
		if at, err := kubeconfig.Server(test.path, test.context); at != c.server {
			t.Errorf("%s: Server = %q, %v; want %q", test.name, at, err, c.server)
		}
	}
	if through.Load() == 0 {
		t.Error("proxy-url was not used")
	}
	if _, err := cluster.Connect(t.Context(), c.file(t, "wrong", c.cluster+`, tls-server-name: wrong.example.com`, certificate), "", "default", cluster.RetryPolicy{}); err == nil || !strings.Contains(err.Error(), "wrong.example.com") {
		t.Errorf("with another TLS name: %v, want the certificate refused", err)
	}
}

// nameOf returns a DNS name of a server's certificate.
func nameOf(t *testing.T, server string) string {
	t.Helper()
	connection, err := tls.Dial("tcp", strings.TrimPrefix(server, "https://"), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // only its names are read
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close() //nolint:errcheck // read only
	names := connection.ConnectionState().PeerCertificates[0].DNSNames
	if len(names) == 0 {
		t.Fatal("the API server's certificate has no DNS name")
	}
	return names[0]
}

// connectProxy is an HTTP proxy that counts what goes through it.
func connectProxy(t *testing.T) (address string, through *atomic.Int64) {
	t.Helper()
	through = &atomic.Int64{}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		through.Add(1)
		w.WriteHeader(http.StatusOK)
		from, read, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(to, read); _ = to.Close() }()
		go func() { _, _ = io.Copy(from, to); _ = from.Close() }()
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL, through
}

// The credentials of a kubeconfig go to its API server alone.
func TestAPIServerThatSendsOn(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s was sent on, with Authorization %q", r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(elsewhere.Close)
	front := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(front.Close)
	file := clientcmdapi.NewConfig()
	file.Clusters["k"] = &clientcmdapi.Cluster{Server: front.URL}
	file.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: "secret"}
	file.Contexts["c"] = &clientcmdapi.Context{Cluster: "k", AuthInfo: "u"}
	file.CurrentContext = "c"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		t.Fatal(err)
	}
	_, err := cluster.Connect(t.Context(), path, "", "default", cluster.RetryPolicy{})
	to, parseErr := url.Parse(elsewhere.URL)
	if parseErr != nil || err == nil || !strings.Contains(err.Error(), to.Host) {
		t.Errorf("Connect: %v, want an error that names %s", err, to.Host)
	}
}
