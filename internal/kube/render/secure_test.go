package render_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Without the settings nothing of a launch is other than it was: no object has a
// word of them.
func TestNothingIsSecureUnlessAsked(t *testing.T) {
	t.Parallel()
	for _, o := range launchtest.Render(t, launchtest.Input()) {
		text := fmt.Sprint(o.Object)
		for _, word := range []string{"8443", "443", "tls-listen", "jwks", `"auth"`, "client-ca", "backend-protocol"} {
			if strings.Contains(text, word) {
				t.Errorf("%s has %q", render.Name(o), word)
			}
		}
	}
}

func TestTLSIsRendered(t *testing.T) {
	t.Parallel()
	for _, only := range []bool{false, true} {
		in := launchtest.Input()
		in.Settings.TLS = render.TLS{Secret: "engine-tls", Only: only}
		in.Settings.Ingress.Provider = "nginx"
		objects := launchtest.Render(t, in)
		engine := launchtest.Find(objects, "Deployment/execution-engine")
		if command, _ := launchtest.At(engine, "spec.template.spec.containers.0.command").([]any); !slices.Contains(command, any("--tls-listen")) {
			t.Errorf("the engine's command is %v", command)
		}
		if got := launchtest.At(launchtest.Find(objects, "Service/execution-engine"), "spec.ports.1.port"); fmt.Sprint(got) != "443" {
			t.Errorf("the Service's second port is %v, want 443", got)
		}
		if got := launchtest.At(launchtest.Find(objects, "Service/execution-engine"), "spec.ports.0.port"); fmt.Sprint(got) != "80" {
			t.Errorf("the Service's first port is %v, want 80, by which algorithms call", got)
		}
		ingress := launchtest.Find(objects, "Ingress/execution-engine")
		port, protocol := "80", ""
		if only {
			port, protocol = "443", "HTTPS"
		}
		if got := launchtest.At(ingress, "spec.rules.0.http.paths.0.backend.service.port.number"); fmt.Sprint(got) != port {
			t.Errorf("only %v: the Ingress leads to port %v, want %s", only, got, port)
		}
		if got := ingress.GetAnnotations()["nginx.ingress.kubernetes.io/backend-protocol"]; got != protocol {
			t.Errorf("only %v: the Ingress speaks %q, want %q", only, got, protocol)
		}
		policy := launchtest.Find(objects, "NetworkPolicy/execution-engine")
		open := map[string]bool{} // port → from anywhere
		rules, _ := launchtest.At(policy, "spec.ingress").([]any)
		for _, rule := range rules {
			m := rule.(map[string]any)
			for _, p := range m["ports"].([]any) {
				open[fmt.Sprint(p.(map[string]any)["port"])] = m["from"] == nil
			}
		}
		if want := map[string]bool{"8443": true, "8080": !only, "9090": false}; !cmp.Equal(open, want) {
			t.Errorf("only %v: open to all are %v, want %v", only, open, want)
		}
	}
}

func TestSignOnIsRendered(t *testing.T) {
	t.Parallel()
	in := launchtest.Input()
	leeway := int64(5)
	in.Settings.TLS.Secret = "engine-tls"
	in.Settings.JWKSConfigMap, in.Settings.ClientCA = "issuer", render.Source{Secret: true, Name: "callers"}
	in.Settings.Auth = config.Auth{
		JWT:      &config.JWT{Issuer: "https://login.example.com/", Audience: []string{"a"}, JWKSFile: config.JWKSFile, AlgorithmsClaim: "scope", LeewaySeconds: &leeway},
		ClientCA: &config.ClientCA{File: config.ClientCAFile, Rules: []config.ClientRule{{Name: "x.example", Algorithms: []string{"foo/*"}}}},
	}
	objects := launchtest.Render(t, in)
	routes, err := config.ParseRoutes([]byte(launchtest.At(launchtest.Find(objects, "ConfigMap/execution-engine"), "data.routes~json").(string)))
	if err != nil || len(routes.Refused) > 0 {
		t.Fatalf("routes.json: %v, refused %v", err, routes.Refused)
	}
	if diff := cmp.Diff(in.Settings.Auth, routes.Auth); diff != "" {
		t.Errorf("auth (-want +got):\n%s", diff)
	}
	paths := map[string]bool{}
	sources, _ := launchtest.At(launchtest.Find(objects, "Deployment/execution-engine"), "spec.template.spec.volumes.0.projected.sources").([]any)
	for _, source := range sources {
		for kind, v := range source.(map[string]any) {
			items, _ := v.(map[string]any)["items"].([]any)
			for _, item := range items {
				paths[kind+" "+fmt.Sprint(item.(map[string]any)["path"])] = true
			}
		}
	}
	for _, want := range []string{"secret tls.crt", "secret tls.key", "configMap jwks.json", "secret client-ca.pem"} {
		if !paths[want] {
			t.Errorf("the engine's folder lacks %q: %v", want, paths)
		}
	}
	in.Settings.Auth.JWT.Issuer = ""
	if _, err := render.Launch(in); err == nil || !strings.Contains(err.Error(), "issuer") {
		t.Errorf("an issuer that engines would refuse: %v", err)
	}
}
