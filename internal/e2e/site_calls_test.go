package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/deploy/examples/callers"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/identity/identitytest"
	"github.com/constellation-serving/constellation/internal/stack"
)

// putSecrets types secrets as an operator does; one that is no text is refused.
func (j *journey) putSecrets(t *testing.T) {
	t.Helper()
	put := stack.Command{
		Args: []string{filepath.Join(j.Bin, "algo-install"), "satellite", j.satelliteID, j.launchID, "configure", "--secret", "stage.env." + own + ".TYPED", "-"},
		Env:  j.OperatorEnv(), Stdin: binary,
	}
	_, err := put.Run(t.Context())
	var failed *stack.CommandError
	if !errors.As(err, &failed) || failed.Code != 2 || !strings.Contains(failed.Stderr, "put it into a file of a Secret") || strings.Contains(failed.Stderr, "binary") {
		t.Errorf("a binary secret for a variable: %v, want exit code 2 and what to do", err)
	}
	put.Stdin = typed + "\n" // one line end is not of the value
	if _, err := put.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// surrounded asks the algorithm for what it was given.
func (j *journey) surrounded(t *testing.T) {
	client := j.through(t, j.serviceAddress(t))
	result := func(body string, into any) {
		t.Helper()
		status, answer := j.ask(t, client, "Simple "+j.key, own, "application/json", body)
		var whole struct{ Result json.RawMessage }
		err := json.Unmarshal([]byte(answer), &whole)
		if err == nil {
			err = json.Unmarshal(whole.Result, into)
		}
		if err != nil || status != http.StatusOK {
			t.Errorf("%s = %d %.300s, %v", body, status, answer, err)
		}
	}
	want := map[string]string{"LEVEL": "info", "MODE": "of the $(version)", "HUB_TOKEN": hubToken, "FLAG": mapped, "TYPED": typed, "unused": "<nil>"}
	asked, err := json.Marshal(map[string]any{"env": slicesOf(want)})
	if err != nil {
		t.Fatal(err)
	}
	var env map[string]any
	result(string(asked), &env)
	for name, value := range want {
		if got := fmt.Sprint(env[name]); got != value {
			t.Errorf("the variable %s is %q, want %q", name, got, value)
		}
	}
	type file struct {
		SHA256   string
		Writable bool
	}
	for path, content := range map[string]string{"/opt/keys/key.bin": binary, "/etc/labels/names.txt": names} {
		var got file
		if result(`{"read":"`+path+`"}`, &got); got.SHA256 != sumOf(content) || got.Writable {
			t.Errorf("%s = %+v, want %q, read-only", path, got, content)
		}
	}
	for _, folder := range []string{"/dev/shm", "/scratch", "/shared"} {
		var written struct{ Written int }
		var got file
		result(`{"write":"`+folder+`/note","text":"of `+folder+`"}`, &written)
		if result(`{"read":"`+folder+`/note"}`, &got); got.SHA256 != sumOf("of "+folder) || !got.Writable {
			t.Errorf("what was written to %s is %+v", folder, got)
		}
	}
	var room struct{ Bytes int64 }
	if result(`{"room":"/dev/shm"}`, &room); room.Bytes != 32<<20 {
		t.Errorf("/dev/shm has %d bytes, want 32 MiB of its own", room.Bytes)
	}
	claim, err := j.kube.CoreV1().PersistentVolumeClaims(namespace).Get(t.Context(), "shared", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	note, err := os.ReadFile(filepath.Join(j.Dir, "cluster", "volumes", claim.Spec.VolumeName, "note"))
	if err != nil || string(note) != "of /shared" {
		t.Errorf("the claim's volume has %q, %v", note, err)
	}
	for _, file := range []string{"config.yaml", "rendered"} {
		j.lacks(t, filepath.Join(j.launchDir(), file), "END TOKEN")
	}
}

func slicesOf(m map[string]string) (keys []string) {
	for key := range maps.Keys(m) {
		keys = append(keys, key)
	}
	return keys
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// lacks looks for a text in a file, or in all of a folder.
func (j *journey) lacks(t *testing.T, path, text string) {
	t.Helper()
	looked := 0
	err := filepath.WalkDir(path, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		looked++
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(text)) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil || looked == 0 {
		t.Errorf("looked at %d files of %s, %v", looked, path, err)
	}
}

// serviceAddress is where the engine itself serves HTTPS.
func (j *journey) serviceAddress(t *testing.T) string {
	t.Helper()
	service, err := j.kube.CoreV1().Services(namespace).Get(t.Context(), render.EngineName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(service.Spec.ClusterIP, "443")
}

// ingressAddress is where the Ingress does.
func (j *journey) ingressAddress(t *testing.T) string {
	t.Helper()
	at, err := url.Parse(j.Cluster.IngressURL)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(at.Hostname(), "443")
}

// through returns a client of somebody who trusts the site's authority, and for
// whom all names lead to one address.
func (j *journey) through(t *testing.T, address string) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: j.site.authority.Pool(), MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// ask makes a call as the official clients do, by HTTPS.
func (j *journey) ask(t *testing.T, client *http.Client, authorization, vanity, contentType, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+siteHost+"/v1/algo/"+vanity, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", authorization)
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // read to its end
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(data)
}

// token is one of the issuer for who may call what; change spoils it.
func (s *site) token(t *testing.T, scope string, change func(claims map[string]any)) string {
	t.Helper()
	claims := identitytest.Claims("ann", time.Now())
	claims["scope"] = scope
	if change != nil {
		change(claims)
	}
	return s.signer.Sign(t, claims)
}

// identified: by the engine's own HTTPS and by that of the Ingress, with a token in
// place of a key.
func (j *journey) identified(t *testing.T) {
	s := j.site
	good := s.token(t, "openid algo:pipe/*", nil)
	for name, address := range map[string]string{"Service": j.serviceAddress(t), "Ingress": j.ingressAddress(t)} {
		client := j.through(t, address)
		wants := func(what, authorization, vanity string, status int, want string) {
			t.Helper()
			if got, answer := j.ask(t, client, authorization, vanity, "text/plain", "Neo"); got != status || !strings.Contains(answer, want) {
				t.Errorf("by the %s, %s = %d %.300s; want %d with %q", name, what, got, answer, status, want)
			}
		}
		wants("a key", "Simple "+j.key, own, 200, "Hello Neo")
		wants("a token", "Bearer "+good, own, 200, "Hello Neo")
		wants("a token where a client of the original sends its key", "Simple "+good, own, 200, "Hello Neo")
		wants("a token for others", "Bearer "+good, neighbour, 403, "may not call")
		wants("a token for nothing", "Bearer "+s.token(t, "openid", nil), own, 403, "may not call")
		for what, token := range j.badTokens(t) {
			wants(what, "Bearer "+token, own, 401, "")
		}
		chat, err := callers.Caller{Base: "https://" + siteHost + "/v1/algo", Key: s.token(t, "algo:samples/*", nil), HTTP: client}.Chat(t.Context(), neighbour, "parrot-1", "knock knock")
		if err != nil || chat != "You said: knock knock" {
			t.Errorf("by the %s, OpenAI's client gets %q, %v", name, chat, err)
		}
	}
	if s.issuer.Asked.Load() == 0 {
		t.Error("nobody asked the issuer for its keys")
	}
	s.keys.Close()
	if status, answer := j.ask(t, j.through(t, j.serviceAddress(t)), "Bearer "+s.token(t, "algo:*", nil), own, "text/plain", "Neo"); status != 200 {
		t.Errorf("a token while the issuer is away = %d %.300s", status, answer)
	}
	j.spoken(t)
}

// badTokens are such that nobody may take.
func (j *journey) badTokens(t *testing.T) map[string]string {
	t.Helper()
	s := j.site
	set := func(claim string, value any) string {
		return s.token(t, "algo:*", func(claims map[string]any) { claims[claim] = value })
	}
	good := strings.Split(set("sub", "eve"), ".")
	none := "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + good[1] + "." // {"alg":"none","typ":"JWT"}
	claims := identitytest.Claims("eve", time.Now())
	claims["scope"] = "algo:*"
	return map[string]string{
		"an expired token":               set("exp", time.Now().Add(-time.Hour).Unix()),
		"a token for others' services":   set("aud", "another"),
		"another issuer's token":         set("iss", "https://login.example.org/"),
		"an unsigned token":              none,
		"a token that was changed":       good[0] + "." + strings.Split(set("sub", "ann"), ".")[1] + "." + good[2],
		"a token by a key of nobody":     identitytest.NewKey(t, s.signer.ID).Sign(t, claims),
		"a token by a shared secret":     identitytest.SignWith(t, jose.SigningKey{Algorithm: jose.HS256, Key: bytes.Repeat([]byte("k"), 32)}, s.signer.ID, claims),
		"a token by a key that is away":  identitytest.NewKey(t, "two").Sign(t, claims),
		"a token that is cut":            good[0] + "." + good[1] + "." + good[2][:10],
		"the key of another satellite":   "cst_wrong",
		"a token that is no token's end": good[0] + "." + good[1] + "." + good[2] + ".x",
	}
}

// spoken: the engine speaks HTTP/2 by TLS to those who can, whoever does not know
// its authority does not speak to it, and others still come to port 80.
func (j *journey) spoken(t *testing.T) {
	t.Helper()
	address := j.serviceAddress(t)
	answer, err := j.through(t, address).Get("https://" + siteHost + "/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	if _ = answer.Body.Close(); answer.ProtoMajor != 2 || answer.TLS.PeerCertificates[0].DNSNames[0] != siteHost {
		t.Errorf("the engine answers by %s with a certificate for %v", answer.Proto, answer.TLS.PeerCertificates[0].DNSNames)
	}
	stranger := j.through(t, address)
	stranger.Transport.(*http.Transport).TLSClientConfig.RootCAs = identitytest.NewAuthority(t, "another").Pool()
	if _, err := stranger.Get("https://" + siteHost + "/v1/status"); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("with another authority: %v", err)
	}
	plain, err := http.Get("http://" + strings.TrimSuffix(address, "443") + "80/v1/status")
	if err != nil {
		t.Fatal(err)
	}
	if _ = plain.Body.Close(); plain.StatusCode != http.StatusUnauthorized && plain.StatusCode != http.StatusOK {
		t.Errorf("port 80 answers %s", plain.Status)
	}
}
