package preflight

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// certificateSoon is how long before its end a certificate is warned of.
const certificateSoon = 14 * 24 * time.Hour

// secure looks at what the operator made for TLS and for callers without keys: a
// pod whose Secret is not there never starts, and says so to nobody.
func (p *preflight) secure(ctx context.Context) {
	p.tls(ctx)
	p.jwks(ctx)
	p.clientCA(ctx)
}

func (p *preflight) tls(ctx context.Context) {
	const name = "tls"
	secret := p.input.Settings.TLS.Secret
	if secret == "" {
		return
	}
	mend := "make it with 'kubectl -n " + p.namespaceName() + " create secret tls " + secret + " --cert=FILE --key=FILE', or configure stage.tls.secret= to serve no TLS"
	object, ok := p.given(ctx, name, render.Source{Secret: true, Name: secret}, mend)
	if !ok {
		return
	}
	if kind, _, _ := unstructured.NestedString(object.Object, "type"); kind != string(corev1.SecretTypeTLS) {
		p.note(name, Problem, mend, "Secret %s of namespace %s is of type %s, and TLS needs one of type %s", secret, p.namespaceName(), cmp.Or(kind, string(corev1.SecretTypeOpaque)), corev1.SecretTypeTLS)
		return
	}
	pair, err := tls.X509KeyPair(content(object, corev1.TLSCertKey), content(object, corev1.TLSPrivateKeyKey))
	if err != nil {
		p.note(name, Problem, mend, "Secret %s has no certificate with its key: %v", secret, err)
		return
	}
	p.certificate(name, secret, pair.Leaf)
}

// certificate judges the certificate that callers will see.
func (p *preflight) certificate(name, secret string, leaf *x509.Certificate) {
	now, renew, host := time.Now(), "put a new certificate into Secret "+secret+"; running engines take it without a deploy", p.input.Settings.Ingress.Host
	switch until := leaf.NotAfter.UTC().Format(time.RFC3339); {
	case now.After(leaf.NotAfter):
		p.note(name, Problem, renew, "the certificate of Secret %s expired on %s", secret, until)
	case now.Before(leaf.NotBefore):
		p.note(name, Problem, renew, "the certificate of Secret %s is valid only from %s", secret, leaf.NotBefore.UTC().Format(time.RFC3339))
	case host != "" && leaf.VerifyHostname(host) != nil:
		p.note(name, Warning, "put a certificate for that name into the Secret, or configure stage.ingress.host to one of its names",
			"the certificate of Secret %s is not for %s: callers who come there by the engine's own TLS refuse it", secret, host)
	case leaf.NotAfter.Sub(now) < min(certificateSoon, leaf.NotAfter.Sub(leaf.NotBefore)/5):
		p.note(name, Warning, renew, "the certificate of Secret %s expires on %s", secret, until)
	default:
		p.note(name, OK, "", "the certificate of Secret %s is good until %s", secret, until)
	}
}

// signOn is the name of the checks of callers without keys.
const signOn = "sign-on"

func (p *preflight) jwks(ctx context.Context) {
	from := p.input.Settings.JWKSConfigMap
	if from == "" {
		return
	}
	mend := "make it with 'kubectl -n " + p.namespaceName() + " create configmap " + from + " --from-file=" + config.JWKSFile + "=FILE', with the key set that the issuer publishes"
	object, ok := p.given(ctx, signOn, render.Source{Name: from}, mend)
	if !ok {
		return
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(content(object, config.JWKSFile), &set); err != nil || len(set.Keys) == 0 {
		p.note(signOn, Problem, mend, "ConfigMap %s has no JWK set with keys under %s", from, config.JWKSFile)
		return
	}
	p.note(signOn, OK, "", "ConfigMap %s has %d keys of the issuer", from, len(set.Keys))
}

func (p *preflight) clientCA(ctx context.Context) {
	from := p.input.Settings.ClientCA
	if from.Name == "" {
		return
	}
	mend := "put the authorities of client certificates there under " + render.ClientCAKey + ", in PEM form"
	object, ok := p.given(ctx, signOn, from, mend)
	if !ok {
		return
	}
	good, all := 0, 0
	for rest := content(object, render.ClientCAKey); ; all++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if authority, err := x509.ParseCertificate(block.Bytes); err == nil && time.Now().Before(authority.NotAfter) {
			good++
		}
	}
	switch {
	case good == 0 && all > 0:
		p.note(signOn, Problem, mend, "the authorities in %s are expired, or none", sourceName(from))
	case good == 0:
		p.note(signOn, Problem, mend, "%s has no certificate in PEM form under %s", sourceName(from), render.ClientCAKey)
	default:
		p.note(signOn, OK, "", "%s has %d authorities of client certificates", sourceName(from), good)
	}
}

// sourceName is how messages name a source.
func sourceName(from render.Source) string {
	if from.Secret {
		return "Secret " + from.Name
	}
	return "ConfigMap " + from.Name
}

// given returns an object that the operator makes. That it is missing is noted.
func (p *preflight) given(ctx context.Context, name string, from render.Source, mend string) (*unstructured.Unstructured, bool) {
	kind := "ConfigMap"
	if from.Secret {
		kind = "Secret"
	}
	object, err := p.cluster.Get(ctx, "v1", kind, from.Name)
	switch {
	case err != nil:
		p.noteUnreadable(name, err, "this account may not read %s, which the configuration names", sourceName(from))
	case object == nil:
		p.note(name, Problem, mend, "%s does not exist in namespace %s", sourceName(from), p.namespaceName())
	}
	return object, err == nil && object != nil
}

// content returns what a ConfigMap or a Secret has under a key; nil for nothing.
func content(object *unstructured.Unstructured, key string) []byte {
	text, _, _ := unstructured.NestedString(object.Object, "data", key)
	if object.GetKind() != "Secret" {
		return []byte(text)
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return data
}
