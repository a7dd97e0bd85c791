package compose

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// The user of the mothership's image.
const nonroot = 65532

// TestRuns runs what compose.yaml would start in containers, each with its command
// line and environment: PostgreSQL, the mothership and nginx. Only addresses and
// folders are this machine's.
func TestRuns(t *testing.T) {
	t.Parallel()
	bin := os.Getenv("CONSTELLATION_BIN")
	if bin == "" || os.Geteuid() != 0 {
		t.Skip("needs root and CONSTELLATION_BIN (the folder with the built programs): run make ways")
	}
	project := mustLoad(t, "tls")
	postgres := startPostgres(t, project.Services["postgres"])
	address := startMothership(t, project.Services["mothership"], filepath.Join(bin, "mothership"), postgres)
	want(t, http.DefaultClient, "http://"+address+"/readyz", http.StatusOK)
	front, client := startNginx(t, address)
	want(t, client, "https://"+front+"/readyz", http.StatusOK)
	want(t, client, "https://"+front+"/v2/", http.StatusUnauthorized)
}

// environment is that of a service, after what is changed in it.
func environment(s types.ServiceConfig, changed map[string]string) []string {
	env := []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range s.Environment {
		text := ""
		if value != nil {
			text = *value
		}
		if other, ok := changed[name]; ok {
			text = other
		}
		env = append(env, name+"="+text)
	}
	return env
}

// folder is an empty one that uid owns.
func folder(t *testing.T, uid int) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "compose")
	if err == nil {
		err = os.Chown(dir, uid, uid)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// start starts a process as a user, with its output in a file, and ends it with the
// test.
func start(t *testing.T, uid int, env []string, args ...string) (log string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = env, out, out, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		if err := cmd.Wait(); err != nil && args[0] != "nginx" {
			t.Errorf("%s ended with %v", args[0], err)
		}
		kill.Stop()
		_ = out.Close()
		if text, err := os.ReadFile(out.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", args[0], text)
		}
	})
	return out.Name()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // free again
	return l.Addr().String()
}

// startPostgres does what the image's entrypoint does with these variables.
func startPostgres(t *testing.T, s types.ServiceConfig) (address string) {
	t.Helper()
	programs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(programs) == 0 {
		t.Skip("needs PostgreSQL: apt-get install postgresql")
	}
	own, err := user.Lookup("postgres")
	if err != nil {
		t.Skip("needs PostgreSQL's user: apt-get install postgresql")
	}
	uid, err := strconv.Atoi(own.Uid)
	if err != nil {
		t.Fatal(err)
	}
	dir, program := folder(t, uid), func(name string) string { return filepath.Join(programs[len(programs)-1], name) }
	as := func(name string, args ...string) error {
		cmd := exec.CommandContext(t.Context(), program(name), args...)
		cmd.Dir, cmd.Env = "/", append(os.Environ(), "PGPASSWORD="+*s.Environment["POSTGRES_PASSWORD"])
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, out)
		}
		return nil
	}
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(*s.Environment["POSTGRES_PASSWORD"]), 0o644); err != nil {
		t.Fatal(err)
	}
	data, name := filepath.Join(dir, "data"), *s.Environment["POSTGRES_USER"]
	if err := as("initdb", "--pgdata", data, "--username", name, "--pwfile", password, "--auth", "scram-sha-256", "--no-sync"); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(freeAddress(t))
	start(t, uid, []string{"PATH=" + os.Getenv("PATH")}, program("postgres"), "-D", data, "-h", host, "-p", port, "-k", dir, "-c", "fsync=off")
	at := []string{"--host", host, "--port", port, "--username", name}
	// The service's own check says when it is there.
	check := slices.Clone(s.HealthCheck.Test)
	eventually(t, strings.Join(check, " "), func() error {
		return as(check[1], append([]string{"--host", host, "--port", port}, check[2:]...)...)
	})
	if err := as("createdb", append(at, *s.Environment["POSTGRES_DB"])...); err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(host, port)
}

// startMothership runs its command line, as the image's user.
func startMothership(t *testing.T, s types.ServiceConfig, program, postgres string) (address string) {
	t.Helper()
	address = freeAddress(t)
	env := environment(s, map[string]string{
		"CONSTELLATION_LISTEN":   address,
		"CONSTELLATION_DATA_DIR": folder(t, nonroot),
		"DATABASE_URL":           strings.ReplaceAll(*s.Environment["DATABASE_URL"], "@postgres/", "@"+postgres+"/"),
	})
	if s.Command[0] != "mothership" {
		t.Fatalf("the command is %v, want the image's mothership", s.Command)
	}
	start(t, nonroot, env, append([]string{program}, s.Command[1:]...)...)
	eventually(t, "the mothership is ready", func() error { return get(t.Context(), http.DefaultClient, "http://"+address+"/readyz", http.StatusOK) })
	return address
}

// startNginx runs nginx with nginx.conf, with a certificate of its own.
func startNginx(t *testing.T, mothership string) (address string, client *http.Client) {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("needs nginx: apt-get install nginx")
	}
	text, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	dir := folder(t, 0)
	pool := certificate(t, dir)
	address = freeAddress(t)
	config := strings.NewReplacer(
		"listen 443 ssl;\n    http2 on;", "listen "+address+" ssl http2;", // as before nginx 1.25
		"/etc/nginx/certificate", dir, "http://mothership:8080", "http://"+mothership,
	).Replace(string(text))
	if strings.Contains(config, "443") || strings.Contains(config, "mothership:") {
		t.Fatalf("nginx.conf has changed, and this test has to:\n%s", config)
	}
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte("pid "+dir+"/pid;\nuser root;\nerror_log stderr;\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, 0, []string{"PATH=" + os.Getenv("PATH")}, "nginx", "-p", dir, "-c", path, "-g", "daemon off;")
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	client = &http.Client{Transport: transport}
	eventually(t, "nginx answers", func() error { return get(t.Context(), client, "https://"+address+"/healthz", http.StatusOK) })
	return address, client
}

// certificate writes tls.crt and tls.key for 127.0.0.1.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, data := range map[string][]byte{"tls.crt": public, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(public)
	return pool
}

func get(ctx context.Context, client *http.Client, address string, status int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != status {
		err = fmt.Errorf("GET %s = %s %s, want %d", address, response.Status, body, status)
	}
	return err
}

func want(t *testing.T, client *http.Client, address string, status int) {
	t.Helper()
	if err := get(t.Context(), client, address, status); err != nil {
		t.Error(err)
	}
}

// eventually tries until it works, for two minutes.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}
