package support_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/support"
)

// What looks like a secret is taken out wherever it stands, and what says where it
// stood stays.
func TestTextHasNoSecrets(t *testing.T) {
	t.Parallel()
	r := &support.Redactor{}
	r.Add("correct horse", "tiny", "a \"quoted\" one")
	for text, want := range map[string]string{
		"no secret here": "no secret here",
		"it says correct horse twice: correct horse":                               "it says [redacted] twice: [redacted]",
		"tiny is too short to be looked for":                                       "tiny is too short to be looked for",
		`{"x":"a \"quoted\" one"}`:                                                 `{"x":"[redacted]"}`,
		"q=correct+horse":                                                          "q=[redacted]",
		base64.StdEncoding.EncodeToString([]byte("correct horse")):                 "[redacted]",
		"key cst_0123456789abcdef of":                                              "key [redacted] of",
		"cstl_0123456789abcdef":                                                    "[redacted]",
		"Authorization: Bearer abc.def":                                            "Authorization: [redacted]",
		`{"Authorization":"Simple xyz12345"}`:                                      `{"Authorization":"[redacted]"}`,
		"sent Bearer 0123456789abcdef":                                             "sent Bearer [redacted]",
		"https://neo:zion@registry.example/x":                                      "https://[redacted]@registry.example/x",
		"https://token@registry.example/x":                                         "https://[redacted]@registry.example/x",
		"DB_PASSWORD=hunter22 next":                                                "DB_PASSWORD=[redacted] next",
		`"password": "hunter22", "user": "neo"`:                                    `"password": "[redacted]", "user": "neo"`,
		"api_key: hunter22":                                                        "api_key: [redacted]",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl":                        "[redacted]",
		"AKIAIOSFODNN7EXAMPLE":                                                     "[redacted]",
		"a\n-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\nb": "a\n[redacted]\nb",
		"-----BEGIN PRIVATE KEY-----\ncut off":                                     "[redacted]",
		"-----BEGIN CERTIFICATE-----\nMIIB":                                        "-----BEGIN CERTIFICATE-----\nMIIB",
	} {
		if got := r.Text(text); got != want {
			t.Errorf("Text(%q) = %q, want %q", text, got, want)
		}
	}
}

// A Secret keeps the names of its values; a variable that is called like a secret
// loses its value, and references to Secrets stay.
func TestObjectHasNoSecrets(t *testing.T) {
	t.Parallel()
	r := &support.Redactor{}
	got := r.Object(map[string]any{
		"kind": "Secret", "data": map[string]any{"token": "bXl0b2tlbg==", "x": "eA=="}, "stringData": map[string]any{"y": "plain"},
		"metadata": map[string]any{"name": "one", "managedFields": []any{"f"}, "annotations": map[string]any{
			"kubectl.kubernetes.io/last-applied-configuration": `{"data":{"x":"eA=="}}`, "kept": "yes"}},
	})
	want := map[string]any{
		"kind": "Secret", "data": map[string]any{"token": support.Masked, "x": support.Masked}, "stringData": map[string]any{"y": support.Masked},
		"metadata": map[string]any{"name": "one", "annotations": map[string]any{"kept": "yes"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a Secret: -want +got\n%s", diff)
	}
	got = r.Object(map[string]any{"kind": "Pod", "spec": map[string]any{
		"env": []any{
			map[string]any{"name": "DB_PASSWORD", "value": "hunter22"},
			map[string]any{"name": "MODE", "value": "fast"},
			map[string]any{"name": "API_KEY", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "keys", "key": "token"}}},
		},
		"automountServiceAccountToken": false, "volumes": []any{map[string]any{"secret": map[string]any{"secretName": "keys"}}},
		"config": map[string]any{"client_secret": "hunter22", "tokens": "3"},
	}})
	want = map[string]any{"kind": "Pod", "spec": map[string]any{
		"env": []any{
			map[string]any{"name": "DB_PASSWORD", "value": support.Masked},
			map[string]any{"name": "MODE", "value": "fast"},
			map[string]any{"name": "API_KEY", "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "keys", "key": "token"}}},
		},
		"automountServiceAccountToken": false, "volumes": []any{map[string]any{"secret": map[string]any{"secretName": "keys"}}},
		"config": map[string]any{"client_secret": support.Masked, "tokens": "3"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a Pod: -want +got\n%s", diff)
	}
}

// What a docker login and a key in PEM form hold is known wherever it stands.
func TestLearn(t *testing.T) {
	t.Parallel()
	r := &support.Redactor{}
	r.Learn([]byte(`{"auths":{"registry.example":{"username":"trinity","password":"hunter22","auth":"dHJpbml0eTpodW50ZXIyMg=="}}}`))
	r.Learn([]byte("-----BEGIN KEY-----\nMIIBVgIBADANBgkqhkiG9w0BAQEFAASC\n-----END KEY-----\n"))
	got := r.Text("trinity at registry.example with hunter22 or dHJpbml0eTpodW50ZXIyMg== and MIIBVgIBADANBgkqhkiG9w0BAQEFAASC")
	if want := "trinity at registry.example with [redacted] or [redacted] and [redacted]"; got != want {
		t.Errorf("Text = %q, want %q", got, want)
	}
}

// FuzzText: a secret that is known is in no text, whatever stands around it.
func FuzzText(f *testing.F) {
	f.Add("a", "b")
	f.Add("https://", "@x")
	f.Fuzz(func(t *testing.T, before, after string) {
		r := &support.Redactor{}
		r.Add("correct horse")
		if got := r.Text(before + "correct horse" + after); strings.Contains(got, "correct horse") {
			t.Errorf("%q", got)
		}
	})
}
