//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

// privateRegistry is a registry of this machine that wants a password.
type privateRegistry struct {
	port           string
	user, password string
}

func newRegistry(t *testing.T) *privateRegistry {
	t.Helper()
	r := &privateRegistry{user: "puller", password: "pa55"}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if user, password, _ := q.BasicAuth(); user != r.user || password != r.password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, q)
	})}}
	server.Start()
	t.Cleanup(server.Close)
	if _, r.port, err = net.SplitHostPort(listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	return r
}

// pushHello compiles testdata/hello, makes an image of it and pushes it.
func (r *privateRegistry) pushHello(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "hello")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./testdata/hello")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build hello: %v\n%s", err, out)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "hello", Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, l)
	if err == nil {
		image, err = mutate.ConfigFile(image, &v1.ConfigFile{Architecture: "amd64", OS: "linux",
			RootFS: must(image.ConfigFile()).RootFS, Config: v1.Config{Entrypoint: []string{"/hello"}, User: "65532"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	reference := "127.0.0.1:" + r.port + "/team/hello:1"
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image, remote.WithAuth(&authn.Basic{Username: r.user, Password: r.password})); err != nil {
		t.Fatal(err)
	}
	return reference
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// deployHello makes what a satellite has: a restricted namespace, a pull
// secret, a Deployment, a Service and an Ingress.
func deployHello(ctx context.Context, t *testing.T, client kubernetes.Interface, image string, r *privateRegistry) {
	t.Helper()
	create := meta.CreateOptions{}
	labels := map[string]string{"app": "hello"}
	auth := fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, strings.SplitN(image, "/", 2)[0], r.user, r.password)
	no, yes, replicas, pathType, class := false, true, int32(2), networking.PathTypePrefix, "nginx"
	pod := core.PodSpec{
		ImagePullSecrets: []core.LocalObjectReference{{Name: "pull"}},
		SecurityContext:  &core.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &core.SeccompProfile{Type: core.SeccompProfileTypeRuntimeDefault}},
		Containers: []core.Container{{
			Name: "hello", Image: image, Ports: []core.ContainerPort{{Name: "http", ContainerPort: 8080}},
			SecurityContext: &core.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &core.Capabilities{Drop: []core.Capability{"ALL"}}},
			ReadinessProbe:  &core.Probe{PeriodSeconds: 1, ProbeHandler: core.ProbeHandler{HTTPGet: &core.HTTPGetAction{Path: "/app/hello", Port: intstr.FromString("http")}}},
		}},
	}
	at := func(name string) meta.ObjectMeta { return meta.ObjectMeta{Name: name, Namespace: "app"} }
	ingress := &networking.Ingress{ObjectMeta: at("hello"), Spec: networking.IngressSpec{IngressClassName: &class, Rules: []networking.IngressRule{{
		IngressRuleValue: networking.IngressRuleValue{HTTP: &networking.HTTPIngressRuleValue{Paths: []networking.HTTPIngressPath{{
			Path: "/app", PathType: &pathType,
			Backend: networking.IngressBackend{Service: &networking.IngressServiceBackend{Name: "hello", Port: networking.ServiceBackendPort{Name: "http"}}},
		}}}}}}}}
	ingress.Annotations = map[string]string{"nginx.ingress.kubernetes.io/proxy-body-size": "2m"}
	steps := []func() error{
		func() error {
			_, err := client.CoreV1().Namespaces().Create(ctx, &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: "app", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}}}, create)
			return err
		},
		func() error {
			_, err := client.CoreV1().Secrets("app").Create(ctx, &core.Secret{ObjectMeta: at("pull"), Type: core.SecretTypeDockerConfigJson, StringData: map[string]string{core.DockerConfigJsonKey: auth}}, create)
			return err
		},
		func() error {
			_, err := client.AppsV1().Deployments("app").Create(ctx, &apps.Deployment{ObjectMeta: at("hello"), Spec: apps.DeploymentSpec{
				Replicas: &replicas, Selector: &meta.LabelSelector{MatchLabels: labels},
				Template: core.PodTemplateSpec{ObjectMeta: meta.ObjectMeta{Labels: labels}, Spec: pod},
			}}, create)
			return err
		},
		func() error {
			_, err := client.CoreV1().Services("app").Create(ctx, &core.Service{ObjectMeta: at("hello"), Spec: core.ServiceSpec{
				Selector: labels, Ports: []core.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
			}}, create)
			return err
		},
		func() error {
			_, err := client.NetworkingV1().Ingresses("app").Create(ctx, ingress, create)
			return err
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

func waitDeployment(ctx context.Context, t *testing.T, client kubernetes.Interface) {
	t.Helper()
	eventually(ctx, t, func() error {
		d, err := client.AppsV1().Deployments("app").Get(ctx, "hello", meta.GetOptions{})
		if err != nil {
			return err
		}
		if s := d.Status; s.ObservedGeneration < d.Generation || s.UpdatedReplicas != 2 || s.ReadyReplicas != 2 || s.Replicas != 2 {
			return fmt.Errorf("deployment: %+v", s)
		}
		return nil
	})
}

func restartDeployment(ctx context.Context, t *testing.T, client kubernetes.Interface) {
	t.Helper()
	patch := `{"spec":{"template":{"metadata":{"annotations":{"restarted":"1"}}}}}`
	if _, err := client.AppsV1().Deployments("app").Patch(ctx, "hello", types.StrategicMergePatchType, []byte(patch), meta.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func serviceIP(ctx context.Context, t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	s, err := client.CoreV1().Services("app").Get(ctx, "hello", meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Spec.ClusterIP
}

func expectLogs(ctx context.Context, client kubernetes.Interface, want string) error {
	pods, err := client.CoreV1().Pods("app").List(ctx, meta.ListOptions{LabelSelector: "app=hello"})
	if err != nil {
		return err
	}
	text, err := client.CoreV1().Pods("app").GetLogs(pods.Items[0].Name, &core.PodLogOptions{}).DoRaw(ctx)
	if err == nil && !strings.Contains(string(text), want) {
		return fmt.Errorf("logs of a pod: %q, want %q", text, want)
	}
	return err
}
