package install_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// What TLS and sign-on need of each other is told before a deploy, and a launch
// that is configured whole is rendered with it.
func TestConfigureSignOn(t *testing.T) {
	t.Parallel()
	m := newMother(t, newKey(t), 1, 1000)
	f := folder(t)
	mustGet(t, f, m.options())
	rendered := func(values ...string) (config.Auth, error) {
		t.Helper()
		configure(t, f, append([]string{"stage.tls.secret=", "stage.tls.only=", "stage.auth.jwt.issuer=", "stage.auth.jwt.audience=", "stage.auth.jwt.jwks=", "stage.auth.jwt.leeway=",
			"stage.auth.client_ca=", "stage.auth.client_allow="}, values...)...)
		stage, err := settings.Read(f)
		if err != nil {
			t.Fatal(err)
		}
		in, err := stage.Stage.Render("")
		return in.Auth, err
	}
	for _, test := range []struct {
		values []string
		want   string
	}{
		{[]string{"stage.tls.only=true"}, "stage.tls.only needs stage.tls.secret"},
		{[]string{"stage.auth.client_ca=configmap:ca"}, "stage.auth.client_ca needs stage.tls.secret"},
		{[]string{"stage.auth.client_allow=a.example=foo/bar"}, "needs stage.auth.client_ca"},
		{[]string{"stage.auth.jwt.issuer=https://x/", "stage.auth.jwt.audience=a"}, "stage.auth.jwt.jwks is missing"},
		{[]string{"stage.auth.jwt.leeway=5s"}, "is missing"},
	} {
		if _, err := rendered(test.values...); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want …%s…", test.values, err, test.want)
		}
	}
	got, err := rendered("stage.tls.secret=tls", "stage.auth.jwt.issuer=https://login.example.com/", "stage.auth.jwt.audience=a, b", "stage.auth.jwt.jwks=https://login.example.com/keys",
		"stage.auth.jwt.leeway=90s", "stage.auth.client_ca=secret:ca", "stage.auth.client_allow=a.example=foo/bar, a.example=lab/*,CN=x=*")
	if err != nil {
		t.Fatal(err)
	}
	leeway := int64(90)
	want := config.Auth{
		JWT: &config.JWT{Issuer: "https://login.example.com/", Audience: []string{"a", "b"}, JWKSURL: "https://login.example.com/keys", LeewaySeconds: &leeway},
		ClientCA: &config.ClientCA{File: config.ClientCAFile, Rules: []config.ClientRule{
			{Name: "a.example", Algorithms: []string{"foo/bar", "lab/*"}}, {Name: "CN=x", Algorithms: []string{"*"}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("auth (-want +got):\n%s", diff)
	}
}
