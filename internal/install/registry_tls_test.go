package install_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// A registry and its token server, both with certificates of an authority of
// their own: ca_file and insecure hold for both, blobs and tokens alike.
func TestPushToARegistryWithItsOwnAuthority(t *testing.T) {
	p := newPrivate(t)
	tokens := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "neo" || password != "zion" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{"token":"red pill"}`)
	}))
	t.Cleanup(tokens.Close)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer red pill" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="private"`, tokens.URL))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		p.Config.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(secure.Close)
	host := strings.TrimPrefix(secure.URL, "https://")
	login(t, host, "zion")
	m, f := newMother(t, newKey(t), 1, 30_000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+host+"/team")
	_, err := install.Push(t.Context(), f, pushOptions())
	wantCode(t, err, fault.CodeNetwork, "signed by no authority that this machine knows", "stage.registry.ca_file")

	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pemOf(secure.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	for repository, setting := range map[string]string{"authority": "stage.registry.ca_file=" + ca, "unchecked": "stage.registry.insecure=true"} {
		configure(t, f, "stage.container_registry="+host+"/"+repository, "stage.registry.ca_file=", "stage.registry.insecure=", setting)
		if result := mustPush(t, f, pushOptions()); result.Pushed != 2 {
			t.Errorf("%s: %+v, want 2 images pushed", setting, result)
		}
	}
}
