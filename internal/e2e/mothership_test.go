package e2e

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/constellation-serving/constellation/deploy/examples/image"
	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/stack"
)

// production is a mothership that runs on a cluster by the chart.
type production struct {
	*journey
	image    string // its repository at the customer's registry
	digest   string
	password string // of its PostgreSQL
	values   string // the file of the chart's values
	interval time.Duration
}

// The namespace of the mothership and the name of its release.
const (
	mothershipNamespace = "mothership"
	release             = "constellation"
	servers             = 3
)

// TestMothershipOnCluster: the chart brings up three servers with PostgreSQL and a
// bucket in a namespace that enforces the restricted Pod Security standard; a satellite
// is deployed from there, answers and reports. Then the servers are killed in turn under
// load, and rolled to the next version.
func TestMothershipOnCluster(t *testing.T) {
	p := startCustomer(t)
	for _, step := range []struct {
		name string
		run  func(*production, *testing.T)
	}{
		{"push images", (*production).pushImages},
		{"install the chart", (*production).install},
		{"fill it with launches", (*production).seed},
		{"make an admin", (*production).adopt},
		{"a satellite is deployed from it", (*production).deploySatellite},
		{"it reports", (*production).reports},
		{"servers are killed in turn", (*production).killed},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(p, t) }) {
			p.explain(t)
			t.FailNow()
		}
	}
}

// startCustomer starts a cluster and a registry.
func startCustomer(t *testing.T) *production {
	t.Helper()
	bin := os.Getenv("CONSTELLATION_BIN")
	if bin == "" || runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("needs Linux, root and CONSTELLATION_BIN (the folder with the built programs): run make e2e")
	}
	if _, err := os.Stat(filepath.Join(bin, "helm")); err != nil {
		t.Fatalf("needs helm beside the other programs: make bin/helm (%v)", err)
	}
	dir, err := os.MkdirTemp("", "constellation-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s, err := stack.StartCustomer(t.Context(), stack.Options{Dir: dir, Bin: bin, Name: "e2e-" + filepath.Base(dir)[len("constellation-e2e-"):], Out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	config, err := clientcmd.BuildConfigFromFlags("", s.Cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &production{journey: &journey{Stack: s, kube: kube}, image: s.Registry + "/mothership", password: "a p@ssword: of/ the?test", values: filepath.Join(dir, "values.yaml")}
}

// pushImages pushes the mothership's own image by its command, and those of the
// servers that it needs.
func (p *production) pushImages(t *testing.T) {
	p.digest = p.pushMothership(t, filepath.Join(p.Bin, "mothership"), "first")
	s3, err := image.Build(t.Context(), image.Source{Package: "github.com/constellation-serving/constellation/internal/e2e/testdata/s3", Platform: "linux/" + runtime.GOARCH})
	if err != nil {
		t.Fatal(err)
	}
	for repository, img := range map[string]v1.Image{"s3": s3, "postgres": postgresImage(t)} {
		to := image.Target{Reference: p.Registry + "/" + repository + ":1", Insecure: true, Username: p.Customer.Username, Password: p.Customer.Password}
		if _, err := image.Push(t.Context(), img, to); err != nil {
			t.Fatal(err)
		}
	}
}

// pushMothership has a program push itself, and returns the digest.
func (p *production) pushMothership(t *testing.T, program, tag string) string {
	t.Helper()
	out, err := stack.Command{
		Args: []string{program, "image", "push", p.image + ":" + tag, "--insecure"},
		Env:  []string{"DOCKER_CONFIG=" + p.Customer.DockerConfig}, Progress: p.Out,
	}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := name.NewDigest(strings.TrimSpace(out))
	if err != nil || pushed.Repository.Name() != p.image {
		t.Fatalf("image push prints %q (%v), want %s and a digest", out, err, p.image)
	}
	return pushed.DigestStr()
}

const secretKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" //nolint:gosec // of this test alone

// install makes the Secrets that the chart is told of, the bucket's server, and the
// release.
func (p *production) install(t *testing.T) {
	p.makeNamespace(t)
	login, err := os.ReadFile(filepath.Join(p.Customer.DockerConfig, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]map[string]string{
		"constellation": {"secret-key": secretKey + "\n", "password": p.password},
		"bucket":        {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
		"pull":          {corev1.DockerConfigJsonKey: string(login)},
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}
		if name == "pull" {
			secret.Type = corev1.SecretTypeDockerConfigJson
		}
		if _, err := p.kube.CoreV1().Secrets(mothershipNamespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	p.startBucket(t)
	p.interval = 10 * time.Second
	if longRun() {
		p.interval = 30 * time.Second
	}
	values, err := yaml.Marshal(map[string]any{
		"replicas": servers, "publicURL": p.Cluster.IngressURL,
		"image": map[string]any{"repository": p.image, "digest": p.digest}, "imagePullSecrets": []string{"pull"},
		"secretKey":      map[string]any{"existingSecret": "constellation"},
		"postgresql":     map[string]any{"enabled": true, "image": p.Registry + "/postgres:1", "existingSecret": "constellation", "size": "1Gi"},
		"storage":        map[string]any{"url": bucketAt("s3"), "existingSecret": "bucket"},
		"ingress":        map[string]any{"enabled": true, "className": "nginx"},
		"trustedProxies": []string{"10.0.0.0/8"}, "networkPolicy": map[string]any{"enabled": true},
		"settings": map[string]any{"heartbeat-interval": p.interval.String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.values, values, 0o600); err != nil {
		t.Fatal(err)
	}
	p.helm(t, "install", "--dry-run=server")
	p.helm(t, "install", "--wait", "--timeout", "5m")
	deployment, err := p.kube.AppsV1().Deployments(mothershipNamespace).Get(t.Context(), release, metav1.GetOptions{})
	if err != nil || deployment.Status.ReadyReplicas != servers {
		t.Errorf("%d servers are ready (%v), want %d", deployment.Status.ReadyReplicas, err, servers)
	}
}

func (p *production) makeNamespace(t *testing.T) {
	t.Helper()
	_, err := p.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: mothershipNamespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// helm runs helm's verb on the release, with the chart of this source.
func (p *production) helm(t *testing.T, verb string, args ...string) {
	t.Helper()
	chart, err := filepath.Abs("../../deploy/chart")
	if err != nil {
		t.Fatal(err)
	}
	line := append([]string{filepath.Join(p.Bin, "helm"), verb, release, chart, "--namespace", mothershipNamespace, "--values", p.values, "--kubeconfig", p.Cluster.Kubeconfig}, args...)
	home := filepath.Join(p.Dir, "helm")
	_, err = stack.Command{Args: line, Env: []string{"HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home}, Progress: p.Out}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
}

// startBucket runs the server of the bucket.
func (p *production) startBucket(t *testing.T) {
	t.Helper()
	labels := map[string]string{"app": "s3"}
	no, yes := false, true
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "s3"}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}},
			SecurityContext:  &corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "s3", Image: p.Registry + "/s3:1",
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			}},
		}},
	}}
	if _, err := p.kube.AppsV1().Deployments(mothershipNamespace).Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s3"}, Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 9000}}}}
	if _, err := p.kube.CoreV1().Services(mothershipNamespace).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// environment is that of administrative commands, which run on this machine and reach
// PostgreSQL and the bucket by their Services.
func (p *production) environment(t *testing.T) []string {
	t.Helper()
	address := func(name string) string {
		service, err := p.kube.CoreV1().Services(mothershipNamespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return service.Spec.ClusterIP
	}
	return []string{
		"DATABASE_URL=postgres://constellation@" + address(release+"-postgresql") + "/constellation?sslmode=disable", "PGPASSWORD=" + p.password,
		"CONSTELLATION_SECRET_KEY=" + secretKey,
		"CONSTELLATION_STORAGE=" + bucketAt(address("s3")), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
	}
}

// bucketAt is the servers' storage, at a host.
func bucketAt(host string) string {
	return "s3://images/mothership?region=us-east-1&endpoint=http://" + host + ":9000"
}

// adopt makes the mothership the stack's, with an admin.
func (p *production) adopt(t *testing.T) {
	m := stack.MothershipAt(filepath.Join(p.Bin, "mothership"), p.Cluster.IngressURL, p.environment(t)...)
	if err := p.Adopt(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// deploySatellite goes an operator's way to an algorithm that answers.
func (p *production) deploySatellite(t *testing.T) {
	var err error
	if p.hello, err = p.PushExample(t.Context(), "hello", "neo", stack.HashA); err != nil {
		t.Fatal(err)
	}
	p.deployNew(t, "Production", map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}, nil, stack.Route{Vanity: "demo/hello", Algorithm: p.hello, Replicas: 1})
	p.callUntil(t, p.key, "demo/hello", "text/plain", "Neo", 200, `"Hello Neo"`)
	plan, err := os.ReadFile(filepath.Join(p.launchDir(), "launch.json"))
	if err != nil || !strings.Contains(string(plan), p.digest) {
		t.Logf("launch.json: %s", plan)
		t.Errorf("the satellite's engine is not of the image %s that was pushed (%v)", p.digest, err)
	}
}

// reports waits until a heartbeat has come that is later than now.
func (p *production) reports(t *testing.T) {
	since := time.Now()
	p.launchUntil(t, 90*time.Second, "up, as it reports itself", func(l *apiv1.LaunchDetail) bool {
		return l.Status == "up" && l.LastSeenAt != nil && l.LastSeenAt.After(since)
	})
}

// explain prints what a person would look at first when a step failed.
func (p *production) explain(t *testing.T) {
	t.Helper()
	p.explainPods(t, mothershipNamespace)
	p.explainPods(t, namespace)
}

// wait waits for a condition of the cluster.
func (p *production) wait(t *testing.T, what string, is func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := is(ctx)
		if ok && err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within three minutes (%v)", what, err)
		case <-tick.C:
		}
	}
}
