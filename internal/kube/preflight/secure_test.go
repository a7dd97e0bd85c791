package preflight_test

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/identity/identitytest"
)

// checkOf returns the state of a check with what it says and how it is mended.
func checkOf(checks []preflight.Check, name string) string {
	for _, c := range checks {
		if c.Name == name {
			return string(c.State) + ": " + c.Message + " → " + c.Fix
		}
	}
	return ""
}

func TestPreflightOfTLS(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		authority := identitytest.NewAuthority(t, "ours")
		good, key := authority.Issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(90 * 24 * time.Hour) }, "a.example")
		_, otherKey := authority.Issue(t, nil, "a.example")
		expired, expiredKey := authority.Issue(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = c.NotBefore.AddDate(0, 0, -2), c.NotBefore }, "a.example")
		soon, soonKey := authority.Issue(t, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().AddDate(0, 0, -80), time.Now().AddDate(0, 0, 10)
		}, "a.example")
		for name, secret := range map[string]struct {
			kind      corev1.SecretType
			cert, key []byte
		}{
			"good": {corev1.SecretTypeTLS, good, key}, "of-another-type": {corev1.SecretTypeOpaque, good, key}, "of-another-key": {corev1.SecretTypeTLS, good, otherKey},
			"expired": {corev1.SecretTypeTLS, expired, expiredKey}, "soon": {corev1.SecretTypeTLS, soon, soonKey}, "nonsense": {corev1.SecretTypeTLS, []byte("x"), []byte("y")},
		} {
			object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Type: secret.kind, Data: map[string][]byte{corev1.TLSCertKey: secret.cert, corev1.TLSPrivateKeyKey: secret.key}}
			if _, err := s.Admin.CoreV1().Secrets(s.Namespace).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, test := range []struct {
			secret, host string
			want         []string
		}{
			{"good", "a.example", []string{"ok: ", "is good until"}},
			{"good", "b.example", []string{"warning: ", "is not for b.example", "stage.ingress.host"}},
			{"missing", "", []string{"problem: Secret missing does not exist in namespace " + s.Namespace, "create secret tls missing"}},
			{"of-another-type", "", []string{"problem: ", "is of type Opaque", "kubernetes.io/tls"}},
			{"of-another-key", "", []string{"problem: ", "private key does not match public key"}},
			{"nonsense", "", []string{"problem: ", "has no certificate with its key"}},
			{"expired", "", []string{"problem: ", "expired on", "running engines take it"}},
			{"soon", "a.example", []string{"warning: ", "expires on"}},
		} {
			in := launchtest.Input()
			in.Settings.TLS.Secret, in.Settings.Ingress.Host = test.secret, test.host
			got := checkOf(launchtest.Preflight(t, s.Cluster, in), "tls")
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("Secret %s with host %q: %q lacks %q", test.secret, test.host, got, want)
				}
			}
		}
		if got := checkOf(launchtest.Preflight(t, s.Cluster, launchtest.Input()), "tls"); got != "" {
			t.Errorf("without TLS there is a check of it: %q", got)
		}
		signOnIn(t, s, authority)
	})
}

// signOnIn looks at what callers without keys are known by.
func signOnIn(t *testing.T, s *launchtest.Space, authority *identitytest.Authority) {
	t.Helper()
	issuer, key := identitytest.NewIssuer(t), identitytest.NewKey(t, "one")
	issuer.Publish(key)
	for name, data := range map[string]map[string]string{
		"good": {config.JWKSFile: string(issuer.JWKS()), render.ClientCAKey: string(authority.PEM)},
		"bad":  {config.JWKSFile: `{"keys":[]}`, render.ClientCAKey: "nonsense"},
	} {
		if _, err := s.Admin.CoreV1().ConfigMaps(s.Namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][2]string{
		"good":    {"ok: ConfigMap good has 1 keys", "ok: ConfigMap good has 1 authorities"},
		"bad":     {"problem: ConfigMap bad has no JWK set", "problem: ConfigMap bad has no certificate in PEM form under ca.crt"},
		"missing": {"problem: ConfigMap missing does not exist", "problem: ConfigMap missing does not exist"},
	} {
		in := launchtest.Input()
		in.Settings.JWKSConfigMap = name
		if got := checkOf(launchtest.Preflight(t, s.Cluster, in), "sign-on"); !strings.HasPrefix(got, want[0]) {
			t.Errorf("keys in %s: %q, want %q", name, got, want[0])
		}
		in = launchtest.Input()
		in.Settings.ClientCA.Name = name
		if got := checkOf(launchtest.Preflight(t, s.Cluster, in), "sign-on"); !strings.HasPrefix(got, want[1]) {
			t.Errorf("authorities in %s: %q, want %q", name, got, want[1])
		}
	}
}
