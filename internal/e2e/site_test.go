package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/identity/identitytest"
	"github.com/constellation-serving/constellation/internal/stack"
)

const (
	siteHost = "algorithms.example.com"
	// own is the algorithm that has settings of its own here. Its neighbours are one
	// that no proxy may be put beside, and one that is as it was.
	own       = "pipe/second"
	neighbour = "samples/chat"
	same      = "pipe/python"

	gpu   = "example.com/gpu"
	taint = gpu + ":NoSchedule"
)

// site is what one installation has that others do not.
type site struct {
	node      string
	authority *identitytest.Authority // of all certificates
	signer    identitytest.Key        // of tokens
	issuer    *identitytest.Issuer
	keys      *httptest.Server // the issuer, as engines reach it
	mesh      *mesh
}

// ownSettings makes what the site has, and the version and the settings that name
// it. Nothing is deployed yet.
func (j *journey) ownSettings(t *testing.T) {
	s := &site{authority: identitytest.NewAuthority(t, "site"), signer: identitytest.NewKey(t, "one"), issuer: &identitytest.Issuer{}}
	j.site = s
	s.issuer.Publish(s.signer)
	s.keys = j.serveTLS(t, s.issuer)
	ca := filepath.Join(j.Dir, "issuer-ca.pem")
	if err := os.WriteFile(ca, s.authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	j.makeObjects(t)
	j.makeVersion(t)
	j.operate(t, "configure",
		"stage.env."+own+".LEVEL=info", "stage.volumes."+own+".scratch=empty:16Mi:/scratch",
		"stage.tls.secret=tls", "stage.ingress.host="+siteHost, "stage.ingress.tls_secret=tls",
		"stage.auth.jwt.issuer="+identitytest.URL, "stage.auth.jwt.audience="+identitytest.Audience, "stage.auth.jwt.jwks="+s.keys.URL+"/jwks.json", "stage.auth.jwt.ca_file="+ca,
		"stage.auth.jwt.algorithms_claim=scope", "stage.auth.jwt.algorithms_prefix=algo:",
		"stage.placement.engine.tolerations="+taint, "stage.placement."+neighbour+".tolerations="+taint, "stage.placement."+neighbour+".mesh=off",
		"stage.placement."+own+".node_selector.pool=gpu", "stage.placement."+own+".gpu_resource="+gpu, "stage.placement."+own+".mesh=on", "stage.resources."+own+".gpu=1",
	)
}

// serveTLS serves on this machine as pods reach it.
func (j *journey) serveTLS(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(j.Cluster.HostAddress, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: handler}} //nolint:gosec // of a test
	server.TLS = &tls.Config{Certificates: []tls.Certificate{j.site.authority.Pair(t, func(c *x509.Certificate) {
		c.IPAddresses = []net.IP{net.ParseIP(j.Cluster.HostAddress)}
	})}} //nolint:gosec // as above
	server.StartTLS() // until the cluster goes
	return server
}

// The values that Secrets and ConfigMaps of the site have.
const (
	hubToken = "of the Secret"
	mapped   = "of the ConfigMap"
	names    = "zero\none\n"
	binary   = "\x00\xff\x01binary\x00"
	typed    = "-----BEGIN TOKEN-----\n$(HOME) \"é\"\n\n-----END TOKEN-----\n" // of more than one line
)

// makeObjects makes what the algorithm's variables and volumes name, the engine's
// certificate, and a quota and limits that all of it has to keep to.
func (j *journey) makeObjects(t *testing.T) {
	t.Helper()
	ctx, core := t.Context(), j.kube.CoreV1()
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	secret := func(name string, kind corev1.SecretType, data map[string][]byte) {
		t.Helper()
		must(core.Secrets(namespace).Create(ctx, &corev1.Secret{ObjectMeta: named(name), Type: kind, Data: data}, metav1.CreateOptions{}))
	}
	certificate, key := j.site.authority.Issue(t, nil, siteHost)
	secret("tls", corev1.SecretTypeTLS, map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key})
	secret("hub", corev1.SecretTypeOpaque, map[string][]byte{"token": []byte(hubToken), "unused": []byte("x")})
	secret("keys", corev1.SecretTypeOpaque, map[string][]byte{"key.bin": []byte(binary)})
	for name, data := range map[string]map[string]string{"flags": {"FLAG": mapped, "LEVEL": "of nobody"}, "labels": {"names.txt": names}} {
		must(core.ConfigMaps(namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: named(name), Data: data}, metav1.CreateOptions{}))
	}
	must(core.PersistentVolumeClaims(namespace).Create(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: named("shared"), Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("64Mi")}},
	}}, metav1.CreateOptions{}))
	must(core.LimitRanges(namespace).Create(ctx, &corev1.LimitRange{ObjectMeta: named("usual"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
		Type:    corev1.LimitTypeContainer,
		Default: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}, DefaultRequest: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
	}}}}, metav1.CreateOptions{}))
	must(core.ResourceQuotas(namespace).Create(ctx, &corev1.ResourceQuota{ObjectMeta: named("site"), Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
		corev1.ResourcePods: resource.MustParse("40"), corev1.ResourceLimitsMemory: resource.MustParse("64Gi"), "requests." + gpu: resource.MustParse("1"),
	}}}, metav1.CreateOptions{}))
	// As Istio is told which namespaces get its proxies.
	must(core.Namespaces().Patch(ctx, namespace, types.MergePatchType, []byte(`{"metadata":{"labels":{"istio-injection":"enabled"}}}`), metav1.PatchOptions{}))
}

// makeVersion makes the satellite's next version, in which an algorithm has
// variables and volumes beside its weights, and downloads it.
func (j *journey) makeVersion(t *testing.T) {
	t.Helper()
	satellite, _, err := j.Client.GetSatellite(t.Context(), j.satelliteID)
	if err != nil {
		t.Fatal(err)
	}
	var list []apiv1.SatelliteAlgorithm
	for _, a := range satellite.LatestVersion.Algorithms {
		switch a.VanityURL {
		case own:
			a.Env = map[string]string{"LEVEL": "debug", "MODE": "of the $(version)"}
			a.EnvFrom = []apiv1.EnvFrom{{Name: "HUB_TOKEN", Secret: "hub", Key: "token"}, {ConfigMap: "flags"}}
			a.Volumes = []apiv1.Volume{
				{Name: "shm", Type: "empty", Size: "32Mi", Memory: true, MountPath: "/dev/shm"},
				{Name: "shared", Type: "pvc", Source: "shared", MountPath: "/shared"},
				{Name: "keys", Type: "secret", Source: "keys", MountPath: "/opt/keys"},
				{Name: "labels", Type: "configmap", Source: "labels", MountPath: "/etc/labels"},
			}
			list = append(list, a)
		case same:
			list = append(list, a)
		}
	}
	chat := slices.IndexFunc(j.samples, func(r stack.Route) bool { return r.Vanity == neighbour })
	list = append(list, apiv1.SatelliteAlgorithm{Algorithm: j.samples[chat].Algorithm, VanityURL: neighbour, Replicas: 1})
	version, err := j.Client.CreateSatelliteVersion(t.Context(), j.satelliteID, "", list)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Client.UpdateLaunch(t.Context(), j.satelliteID, j.launchID, "", apiv1.LaunchUpdate{SatelliteVersion: &version.Number}); err != nil {
		t.Fatal(err)
	}
	j.operate(t, "get", j.AdminKey)
}

// placed makes the cluster's node one with devices behind a taint. What is in the
// way of a pod is said before anything changes; without it, it comes up there.
func (j *journey) placed(t *testing.T) {
	nodes, err := j.kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 {
		t.Fatalf("nodes: %+v, %v", nodes, err)
	}
	j.site.node = nodes.Items[0].Name
	refused := func(want string) {
		t.Helper()
		j.refused(t, 4, want, j.satelliteID, j.launchID, "deploy")
	}
	refused("no node has a label pool (they want pool=gpu)")
	j.patchNode(t, map[string]any{
		"metadata": map[string]any{"labels": map[string]string{"pool": "gpu"}},
		"spec":     map[string]any{"taints": []corev1.Taint{{Key: gpu, Value: "present", Effect: corev1.TaintEffectNoSchedule}}},
	})
	devices := func(n any) {
		t.Helper()
		list := map[string]any{gpu: n}
		j.patchNode(t, map[string]any{"status": map[string]any{"capacity": list, "allocatable": list}}, "status")
	}
	devices("1")
	refused("has a taint that they do not tolerate: " + gpu + "=present:NoSchedule")
	j.operate(t, "configure", "stage.placement."+own+".tolerations="+taint)
	devices(nil) // taken away
	refused("has " + gpu + "; they have no devices")
	devices("1")

	j.putSecrets(t)
	j.site.mesh = j.startMesh(t)
	j.operate(t, "deploy")
	pod := j.podOf(t, own)
	if got := pod.Spec.Containers[len(pod.Spec.Containers)-1].Resources.Limits[gpu]; pod.Spec.NodeName != j.site.node || pod.Spec.NodeSelector["pool"] != "gpu" || got.Value() != 1 {
		t.Errorf("the pod is on %q by %v, with %v of %s; want it on %s with one", pod.Spec.NodeName, pod.Spec.NodeSelector, got, gpu, j.site.node)
	}
	quota, err := j.kube.CoreV1().ResourceQuotas(namespace).Get(t.Context(), "site", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if used := quota.Status.Used["requests."+gpu]; used.Value() != 1 {
		t.Errorf("the quota counts %v devices in use, want 1", used)
	}
}

// patchNode changes the cluster's only node.
func (j *journey) patchNode(t *testing.T, patch map[string]any, subresource ...string) {
	t.Helper()
	data, err := json.Marshal(patch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.kube.CoreV1().Nodes().Patch(t.Context(), j.site.node, types.MergePatchType, data, metav1.PatchOptions{}, subresource...); err != nil {
		t.Fatal(err)
	}
}

// podOf returns an algorithm's only pod, once those of before are gone.
func (j *journey) podOf(t *testing.T, vanity string) corev1.Pod {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		pods, err := j.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pods.Items = slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool {
			return p.Annotations[render.AnnotationVanityURL] != vanity || p.DeletionTimestamp != nil
		})
		if len(pods.Items) == 1 {
			return pods.Items[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d pods of %s, want one", len(pods.Items), vanity)
		}
	}
}
