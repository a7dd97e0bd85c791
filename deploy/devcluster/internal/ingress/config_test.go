package ingress

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func ptr[T any](v T) *T { return &v }

func testIngress(name, host, path string, kind networking.PathType, age int, annotations map[string]string) *networking.Ingress {
	return &networking.Ingress{
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "app", Annotations: annotations, CreationTimestamp: meta.NewTime(time.Unix(1000-int64(age), 0))},
		Spec: networking.IngressSpec{IngressClassName: ptr("nginx"), Rules: []networking.IngressRule{{Host: host, IngressRuleValue: networking.IngressRuleValue{
			HTTP: &networking.HTTPIngressRuleValue{Paths: []networking.HTTPIngressPath{{Path: path, PathType: &kind,
				Backend: networking.IngressBackend{Service: &networking.IngressServiceBackend{Name: name, Port: networking.ServiceBackendPort{Number: 80}}}}}},
		}}}},
	}
}

func testService(name string, address string, ready bool) (*core.Service, *discovery.EndpointSlice) {
	return &core.Service{ObjectMeta: meta.ObjectMeta{Name: name, Namespace: "app"}, Spec: core.ServiceSpec{Ports: []core.ServicePort{{Name: "http", Port: 80}}}},
		&discovery.EndpointSlice{
			ObjectMeta: meta.ObjectMeta{Name: name + "-1", Namespace: "app", Labels: map[string]string{discovery.LabelServiceName: name}}, AddressType: discovery.AddressTypeIPv4,
			Ports:     []discovery.EndpointPort{{Name: ptr("http"), Port: ptr(int32(8080))}},
			Endpoints: []discovery.Endpoint{{Addresses: []string{address}, Conditions: discovery.EndpointConditions{Ready: &ready}}},
		}
}

// shape keeps of a configuration the lines that say what goes where.
func shape(conf []byte) []string {
	var out []string
	keep := regexp.MustCompile(`^(upstream|server [0-9]|server_name|location|return|if|proxy_pass|client_max|proxy_read|proxy_send|proxy_buffering|ssl_certificate )`)
	_, text, _ := strings.Cut(string(conf), "proxy_redirect off;")
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); keep.MatchString(line) {
			out = append(out, line)
		}
	}
	return out
}

func TestGenerate(t *testing.T) {
	web, webSlice := testService("web", "10.0.0.1", true)
	dead, deadSlice := testService("dead", "10.0.0.2", false)
	objects := func(ings ...*networking.Ingress) Objects {
		return Objects{Ingresses: ings, Services: []*core.Service{web, dead}, Slices: []*discovery.EndpointSlice{webSlice, deadSlice}}
	}
	const certificate = "ssl_certificate /d/default.pem;"
	upstream := []string{"upstream app_web_http {", "server 10.0.0.1:8080 max_fails=0;"}
	proxy := func(extra ...string) []string {
		return append(extra, "client_max_body_size 1m;", "proxy_read_timeout 60s;", "proxy_send_timeout 60s;", "proxy_buffering off;", "proxy_pass http://app_web_http;")
	}
	join := func(parts ...[]string) (out []string) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	other := testIngress("web", "", "/", networking.PathTypePrefix, 0, nil)
	other.Spec.IngressClassName = ptr("traefik")
	anyHost := []string{"server_name _;", certificate}
	notFound := []string{"location / { return 404; }"}
	tests := []struct {
		name string
		in   Objects
		want []string
	}{
		{"nothing", objects(), join(anyHost, notFound)},
		{"another class", objects(other), join(anyHost, notFound)},
		{"prefix", objects(testIngress("web", "", "/v1", networking.PathTypePrefix, 0, nil)),
			join(upstream, anyHost, proxy(`location "/v1/" {`), proxy(`location = "/v1" {`), notFound)},
		{"exact on a host", objects(testIngress("web", "a.example", "/x", networking.PathTypeExact, 0, nil)),
			join(upstream, anyHost, notFound, []string{"server_name a.example;", certificate}, proxy(`location = "/x" {`), notFound)},
		{"wildcard host, all paths", objects(testIngress("web", "*.example", "/", networking.PathTypeImplementationSpecific, 0, nil)),
			join(upstream, anyHost, notFound, []string{`server_name "~^[^.]+\.example$";`, certificate}, proxy(`location "/" {`))},
		{"nothing ready", objects(testIngress("dead", "", "/", networking.PathTypePrefix, 0, nil)),
			join(anyHost, []string{`location "/" {`, "return 503;"})},
		{"the older wins", objects(testIngress("dead", "", "/", networking.PathTypePrefix, 1, nil), testIngress("web", "", "/", networking.PathTypePrefix, 9, nil)),
			join(upstream, anyHost, proxy(`location "/" {`))},
		{"annotations, one of them bad", objects(testIngress("web", "", "/", networking.PathTypePrefix, 0, map[string]string{
			prefix + "proxy-body-size": "8m", prefix + "proxy-read-timeout": "600", prefix + "proxy-send-timeout": "5; evil", prefix + "proxy-buffering": "on"})),
			join(upstream, anyHost, []string{`location "/" {`, "client_max_body_size 8m;", "proxy_read_timeout 600s;", "proxy_send_timeout 60s;", "proxy_buffering on;", "proxy_pass http://app_web_http;"})},
		{"HTTPS behind it", objects(testIngress("web", "", "/", networking.PathTypePrefix, 0, map[string]string{prefix + "backend-protocol": "HTTPS"})),
			join(upstream, anyHost, slices.Replace(proxy(`location "/" {`), 5, 6, "proxy_pass https://app_web_http;"))},
		{"a path that is no path", objects(testIngress("web", "", `/" { return 200; }`, networking.PathTypeExact, 0, nil)), join(upstream, anyHost, notFound)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, shape(Generate(test.in, Place{Dir: "/d", Address: "10.210.0.2"}).Conf)); diff != "" {
				t.Errorf("Generate (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGenerateTLS(t *testing.T) {
	web, slice := testService("web", "10.0.0.1", true)
	ing := testIngress("web", "a.example", "/", networking.PathTypePrefix, 0, nil)
	ing.Spec.TLS = []networking.IngressTLS{{Hosts: []string{"a.example"}, SecretName: "cert"}}
	secret := &core.Secret{ObjectMeta: meta.ObjectMeta{Name: "cert", Namespace: "app"}, Type: core.SecretTypeTLS,
		Data: map[string][]byte{core.TLSCertKey: []byte("C"), core.TLSPrivateKeyKey: []byte("K")}}
	files := Generate(Objects{[]*networking.Ingress{ing}, []*core.Service{web}, []*discovery.EndpointSlice{slice}, []*core.Secret{secret}}, Place{Dir: "/d", Address: "10.210.0.2"})
	if len(files.TLS) != 1 {
		t.Fatalf("certificates = %v, want one", files.TLS)
	}
	for name, data := range files.TLS {
		if string(data) != "C\nK" || !strings.Contains(string(files.Conf), "ssl_certificate /d/"+name+";") {
			t.Errorf("certificate %s holds %q and the configuration is\n%s", name, data, files.Conf)
		}
	}
	if !strings.Contains(string(files.Conf), "return 308 https://$host$request_uri;") {
		t.Error("plain HTTP is not sent to HTTPS")
	}
}

// TestNginxTakesIt has nginx check a configuration with everything in it.
func TestNginxTakesIt(t *testing.T) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("needs nginx")
	}
	dir := t.TempDir()
	web, slice := testService("web", "10.0.0.1", true)
	objects := Objects{Services: []*core.Service{web}, Slices: []*discovery.EndpointSlice{slice}, Ingresses: []*networking.Ingress{
		testIngress("web", "", "/v1", networking.PathTypePrefix, 0, nil), testIngress("web", "*.example", "/a b", networking.PathTypeExact, 0, nil),
		testIngress("dead", "b.example", "/", networking.PathTypePrefix, 0, nil),
	}}
	files := Generate(objects, Place{Dir: dir, Address: "127.0.0.1"})
	if err := (&Nginx{Dir: dir, Address: "127.0.0.1"}).writeDefaultCertificate(); err != nil {
		t.Fatal(err)
	}
	conf := strings.ReplaceAll(string(files.Conf), "/var/lib/nginx/", dir+"/") // not this machine's folders and ports
	conf = strings.NewReplacer("127.0.0.1:80", "127.0.0.1:65530", "127.0.0.1:443", "127.0.0.1:65531").Replace(conf)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(nginx, "-t", "-q", "-e", "stderr", "-c", path).CombinedOutput(); err != nil { //nolint:gosec // a test
		t.Errorf("nginx -t: %v\n%s\n%s", err, out, conf)
	}
}
