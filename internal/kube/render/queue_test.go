package render_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// queueObjects are the names of a queue's own objects, in their order.
func queueObjects(objects []*unstructured.Unstructured) []string {
	var names []string
	for _, o := range objects {
		if o.GetLabels()["app.kubernetes.io/component"] == "queue" {
			names = append(names, render.Name(o))
		}
	}
	return names
}

// What each profile and storage has of the queue, and how many system pods.
func TestQueueObjects(t *testing.T) {
	t.Parallel()
	cluster := []string{"ConfigMap/execution-engine-queue", "NetworkPolicy/queue", "PodDisruptionBudget/queue", "ServiceAccount/queue", "Service/queue", "StatefulSet/queue"}
	for _, test := range []struct {
		profile, storage string
		want             []string
		pods             int
		mode             string
		replicas         int
	}{
		{render.ProfileHA, config.StoragePersistent, cluster, 5, config.QueueCluster, 3},
		{render.ProfileHA, config.StorageEphemeral, cluster, 5, config.QueueCluster, 3},
		{render.ProfileEdge, config.StoragePersistent, []string{"ConfigMap/execution-engine-queue", "PersistentVolumeClaim/queue"}, 1, config.QueueEdge, 1},
		{render.ProfileEdge, config.StorageEphemeral, []string{"ConfigMap/execution-engine-queue"}, 1, config.QueueEdge, 1},
		{render.ProfileHA, "", nil, 2, "", 0},
	} {
		in := launchtest.Input()
		algorithms := in.Pods() - 2
		if test.storage != "" {
			in = launchtest.Queued(in, test.profile, test.storage)
			in.Settings.Queue.Size, in.Settings.Queue.Keep, in.Settings.Queue.Share = "2Gi", time.Hour, 35
			in.Settings.Queue.RetryTimeouts = true
		}
		if diff := cmp.Diff(test.want, queueObjects(launchtest.Render(t, in))); diff != "" {
			t.Errorf("%s, %s: objects (-want +got):\n%s", test.profile, test.storage, diff)
		}
		if got := in.Pods() - algorithms; got != test.pods {
			t.Errorf("%s, %s: %d system pods, want %d", test.profile, test.storage, got, test.pods)
		}
		routes := routesOf(t, in)
		if test.mode == "" {
			if routes.Queue != nil {
				t.Errorf("off: routes.json has a queue: %+v", routes.Queue)
			}
			continue
		}
		want := &config.QueueSettings{Mode: test.mode, Replicas: test.replicas, KeepSeconds: 3600, SharePercent: 35, SizeBytes: 2 << 30, Storage: test.storage, RetryTimeouts: true}
		if test.mode == config.QueueCluster {
			want.Servers = []string{"queue-0.queue:4222", "queue-1.queue:4222", "queue-2.queue:4222"}
		}
		if diff := cmp.Diff(want, routes.Queue); diff != "" {
			t.Errorf("%s, %s: routes.json's queue (-want +got):\n%s", test.profile, test.storage, diff)
		}
	}
}

func TestQueueStatefulSet(t *testing.T) {
	t.Parallel()
	const pod, container = "spec.template.spec.", "spec.template.spec.containers.0."
	same := map[string]any{
		"spec.replicas": int64(3), "spec.podManagementPolicy": "Parallel", "spec.updateStrategy.type": "RollingUpdate", "spec.serviceName": "queue",
		pod + "serviceAccountName": "queue", pod + "automountServiceAccountToken": false, pod + "enableServiceLinks": false,
		pod + "terminationGracePeriodSeconds": int64(60),
		pod + "securityContext.runAsNonRoot":  true, pod + "securityContext.fsGroup": int64(65532), pod + "securityContext.seccompProfile.type": "RuntimeDefault",
		pod + "topologySpreadConstraints.0.whenUnsatisfiable":                                                          "ScheduleAnyway",
		pod + "affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.0.podAffinityTerm.topologyKey": "kubernetes.io/hostname",
		pod + "imagePullSecrets.0.name":                                                                                render.PullSecretName,
		container + "image":                                                                                            "registry.example.com/execution-engine@" + launchtest.Digest("e"),
		container + "securityContext.readOnlyRootFilesystem":                                                           true,
		container + "securityContext.allowPrivilegeEscalation":                                                         false,
		container + "securityContext.capabilities.drop.0":                                                              "ALL",
		container + "readinessProbe.httpGet.path":                                                                      "/readyz",
		container + "livenessProbe.httpGet.path":                                                                       "/healthz",
		container + "startupProbe.httpGet.path":                                                                        "/healthz",
		container + "readinessProbe.httpGet.port":                                                                      "health",
		container + "resources.requests.cpu":                                                                           "100m",
		container + "resources.requests.memory":                                                                        "128Mi",
		container + "resources.limits.memory":                                                                          "512Mi",
		container + "env.1.name":                                                                                       "GOMEMLIMIT",
		container + "env.1.value":                                                                                      "483183810",
	}
	for storage, more := range map[string]map[string]any{
		config.StoragePersistent: {
			"spec.volumeClaimTemplates.0.metadata.name":                       "data",
			"spec.volumeClaimTemplates.0.metadata.labels." + label("launch"):  "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345",
			"spec.volumeClaimTemplates.0.metadata.labels." + label("version"): nil,
			"spec.volumeClaimTemplates.0.spec.accessModes.0":                  "ReadWriteOnce",
			"spec.volumeClaimTemplates.0.spec.storageClassName":               "fast",
			"spec.volumeClaimTemplates.0.spec.resources.requests.storage":     "10Gi",
			"spec.volumeClaimTemplates.0.status":                              nil,
			pod + "volumes.1":                                                 nil,
			"spec.volumeClaimTemplates.0.metadata.annotations":                nil,
			"spec.volumeClaimTemplates.0.metadata.creationTimestamp":          nil,
			"spec.persistentVolumeClaimRetentionPolicy":                       nil, // the claims stay
			"spec.template.metadata.labels." + label("launch"):                "9b2c3d4e-1a2b-4c3d-9e4f-abcdef012345",
		},
		config.StorageEphemeral: {"spec.volumeClaimTemplates": nil, pod + "volumes.1.name": "data", pod + "volumes.1.emptyDir.sizeLimit": "10Gi"},
	} {
		in := launchtest.Queued(launchtest.Input(), render.ProfileHA, storage)
		in.Settings.Queue.StorageClass = "fast"
		set := launchtest.Find(launchtest.Render(t, in), "StatefulSet/queue")
		for _, wants := range []map[string]any{same, more} {
			for path, want := range wants {
				if got := launchtest.At(set, path); !cmp.Equal(got, want) {
					t.Errorf("%s: %s = %v, want %v", storage, path, got, want)
				}
			}
		}
		command := launchtest.At(set, container+"command").([]any)
		if got := command[:7]; !cmp.Equal(got, []any{"/usr/bin/mothership", "satellite", "queue", "--config", "/etc/constellation", "--dir", "/queue"}) {
			t.Errorf("%s: command %v", storage, command)
		}
		if peers := command[len(command)-1]; peers != "queue-0.queue:6222,queue-1.queue:6222,queue-2.queue:6222" {
			t.Errorf("%s: peers %v", storage, peers)
		}
	}
}

// label is one of ours as a path has it.
func label(name string) string { return "constellation/" + name }

// The engine of one pod has the queue's disk in its own, and where that is a
// volume, ends before its successor starts.
func TestEdgeEngineRunsTheQueue(t *testing.T) {
	t.Parallel()
	const container = "spec.template.spec.containers.0."
	for storage, want := range map[string]map[string]any{
		config.StoragePersistent: {"spec.strategy.type": "Recreate", "spec.strategy.rollingUpdate": nil, "spec.template.spec.volumes.1.persistentVolumeClaim.claimName": "queue"},
		config.StorageEphemeral:  {"spec.strategy.type": "RollingUpdate", "spec.template.spec.volumes.1.emptyDir.sizeLimit": "10Gi"},
	} {
		objects := launchtest.Render(t, launchtest.Queued(launchtest.Input(), render.ProfileEdge, storage))
		engine := launchtest.Find(objects, "Deployment/execution-engine")
		want["spec.replicas"] = int64(1)
		want[container+"volumeMounts.1.mountPath"] = "/queue"
		for path, value := range want {
			if got := launchtest.At(engine, path); got != value {
				t.Errorf("%s: %s = %v, want %v", storage, path, got, value)
			}
		}
		if command := launchtest.At(engine, container+"command").([]any); !slices.Equal(command[len(command)-2:], []any{"--queue-dir", "/queue"}) {
			t.Errorf("%s: command %v", storage, command)
		}
		if claim := launchtest.Find(objects, "PersistentVolumeClaim/queue"); (claim != nil) != (storage == config.StoragePersistent) {
			t.Errorf("%s: the claim is %v", storage, claim)
		}
	}
	engine := launchtest.Find(launchtest.Render(t, launchtest.Input()), "Deployment/execution-engine")
	if command := launchtest.At(engine, container+"command").([]any); slices.Contains(command, "--queue-dir") {
		t.Errorf("with no queue: command %v", command)
	}
}

// Nothing of the queue's is sent to a server that does not know it.
func TestQueueForEachVersion(t *testing.T) {
	t.Parallel()
	for _, name := range launchtest.Releases(t) {
		in := launchtest.Queued(launchtest.Input(), render.ProfileHA, config.StoragePersistent)
		in.APIs = launchtest.APIsOf(t, name)
		objects := launchtest.Render(t, in)
		if got := launchtest.Find(objects, "PodDisruptionBudget/queue").GetAPIVersion(); got != in.APIs.PDB {
			t.Errorf("%s: the budget is %s, want %s", name, got, in.APIs.PDB)
		}
		if got := launchtest.At(launchtest.Find(objects, "PodDisruptionBudget/queue"), "spec.maxUnavailable"); got != int64(1) {
			t.Errorf("%s: the budget lets %v nodes go, want 1", name, got)
		}
		set := launchtest.Find(objects, "StatefulSet/queue")
		if got := launchtest.At(set, "spec.template.spec.securityContext.seccompProfile") == nil; got != (in.APIs.Minor == 18) {
			t.Errorf("%s: no seccomp field is %v", name, got)
		}
		if got := set.GetAPIVersion(); got != "apps/v1" {
			t.Errorf("%s: the StatefulSet is %s", name, got)
		}
	}
}

// Engines may change one ConfigMap, and take the Lease though nothing is
// reported: who holds it runs schedules and scales. The queue's pods may do
// nothing.
func TestQueueRights(t *testing.T) {
	t.Parallel()
	in := launchtest.Queued(launchtest.Input(), render.ProfileHA, config.StorageEphemeral)
	in.Settings.MothershipURL = ""
	objects := launchtest.Render(t, in)
	rules := launchtest.At(launchtest.Find(objects, "Role/execution-engine"), "rules").([]any)
	found := map[string]bool{}
	for _, rule := range rules {
		m := rule.(map[string]any)
		for _, resource := range m["resources"].([]any) {
			found[resource.(string)] = true
			if resource == "configmaps" && (!cmp.Equal(m["resourceNames"], []any{config.QueueState}) || !cmp.Equal(m["verbs"], []any{"get", "update", "patch"})) {
				t.Errorf("the engines' right to ConfigMaps is %v", m)
			}
		}
	}
	if !found["configmaps"] || !found["leases"] {
		t.Errorf("the engines' rules are %v", rules)
	}
	for _, o := range objects {
		if o.GetKind() == "RoleBinding" && launchtest.At(o, "subjects.0.name") != render.EngineName {
			t.Errorf("%s gives rights to %v", render.Name(o), launchtest.At(o, "subjects"))
		}
	}
	if got := launchtest.At(launchtest.Find(objects, "ServiceAccount/queue"), "automountServiceAccountToken"); got != false {
		t.Errorf("the queue's account mounts its token: %v", got)
	}
	if data := launchtest.At(launchtest.Find(objects, "ConfigMap/"+config.QueueState), "data"); data != nil {
		t.Errorf("the queue's state is rendered with %v, want it left to the engines", data)
	}
}

func TestParseReplicas(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"0": "0", "7": "7", "1000": "1000", "2..10": "2..10", "0..1": "0..1", "4..4": "4..4",
		"": "!whole number", "x": "!whole number", "-1": "!whole number", "+1": "!whole number", "1001": "!whole number", "2..": "!whole number", "..3": "!whole number",
		"2...3": "!whole number", "1..1001": "!whole number", "10..2": "!did you mean 2..10", "0..0": "!write 0",
	} {
		count, bounds, err := render.ParseReplicas(value)
		got := ""
		switch {
		case err != nil:
			got = "!" + err.Error()
		case bounds != nil:
			got = bounds.String()
		default:
			got = strconv.Itoa(count)
		}
		if message, bad := strings.CutPrefix(want, "!"); bad && !strings.Contains(got, message) || !bad && got != want {
			t.Errorf("ParseReplicas(%q) = %q, want %q", value, got, want)
		}
	}
}

// A count that follows the load is started with and then left alone; the
// operator's bounds go before the version's, and a count ends the following.
func TestScaledAlgorithms(t *testing.T) {
	t.Parallel()
	three := 3
	for _, test := range []struct {
		name     string
		change   func(in *render.Input)
		scale    string // of the annotation, "" for none
		replicas int64
	}{
		{"the version's", func(in *render.Input) { in.Plan.Algorithms[0].MaxReplicas = 9 }, "1..9", 2},
		{"started at the least", func(in *render.Input) {
			in.Plan.Algorithms[0].MinReplicas, in.Plan.Algorithms[0].MaxReplicas = &three, 9
		}, "3..9", 3},
		{"the operator's", func(in *render.Input) {
			in.Plan.Algorithms[0].MaxReplicas = 9
			in.Settings.Scale = map[string]render.Bounds{"foo/bar": {Least: 0, Most: 1}}
		}, "0..1", 1},
		{"the operator's count", func(in *render.Input) {
			in.Plan.Algorithms[0].MaxReplicas = 9
			in.Settings.Replicas = map[string]int{"foo/bar": 4}
		}, "", 4},
		{"none", func(*render.Input) {}, "", 2},
	} {
		in := launchtest.Input()
		test.change(&in)
		objects := launchtest.Render(t, in)
		d := launchtest.Find(objects, "Deployment/algo-foo-bar")
		if d.GetAnnotations()[render.AnnotationScale] != test.scale || render.Replicas(d) != test.replicas {
			t.Errorf("%s: scale %q from %d, want %q from %d", test.name, d.GetAnnotations()[render.AnnotationScale], render.Replicas(d), test.scale, test.replicas)
		}
		route := routesOf(t, in).Algorithms[0]
		if least, most := route.Bounds(); route.Scaled() != (test.scale != "") || route.Scaled() && (render.Bounds{Least: least, Most: most}.String() != test.scale || route.Deployment != d.GetName()) {
			t.Errorf("%s: route %+v", test.name, route)
		}
		for _, live := range []int64{0, 2, 100} {
			want := test.replicas
			if bounds, ok := render.ScaleOf(d); ok {
				want = min(max(live, int64(bounds.Least)), int64(bounds.Most))
			}
			there := d.DeepCopy()
			_ = unstructured.SetNestedField(there.Object, live, "spec", "replicas")
			if got := render.Replicas(render.WithReplicasOf(d, there)); got != want {
				t.Errorf("%s: applied over %d it has %d, want %d", test.name, live, got, want)
			}
		}
		if render.Replicas(d) != test.replicas {
			t.Errorf("%s: the rendered object was changed", test.name)
		}
		in.Stable = true
		stable := launchtest.Find(launchtest.Render(t, in), "Deployment/algo-foo-bar")
		if written := launchtest.At(stable, "spec.replicas") != nil; written != (test.scale == "") {
			t.Errorf("%s: for a GitOps tool replicas are written: %v", test.name, written)
		}
	}
}

// Schedules stand beside the algorithm that they call.
func TestRoutesHaveTheirSchedules(t *testing.T) {
	t.Parallel()
	in := launchtest.Input()
	schedule := constellation.Schedule{Name: "nightly", Cron: "0 3 * * *", VanityURL: "foo/bar", Input: "1"}.WithDefaults()
	in.Plan.Schedules = []constellation.Schedule{schedule}
	routes := routesOf(t, in)
	if diff := cmp.Diff([]constellation.Schedule{schedule}, routes.Algorithms[0].Schedules); diff != "" || len(routes.Algorithms[1].Schedules) != 0 {
		t.Errorf("schedules (-want +got):\n%s; the other has %v", diff, routes.Algorithms[1].Schedules)
	}
}
