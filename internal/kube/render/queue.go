package render

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// QueueName is the name of the queue's StatefulSet and Service in ha, and of
// the volume claim in edge. QueueResources is the name by which stage.resources
// knows its pods.
const (
	QueueName      = "queue"
	QueueResources = QueueName
)

const (
	queueNodes      = 3
	queueClientPort = 4222
	queueRoutePort  = 6222
	queueHealthPort = 8222
	queueDir        = "/queue"
	queueVolume     = "data"
	queueHealth     = "health"
	// queueGraceSeconds lets a node hand its leadership over and sync its disk.
	queueGraceSeconds = 60
	// queueStartSeconds is how long a node may read its log before it is taken
	// for one that hangs.
	queueStartSeconds = 600
	queueCPU          = "100m"
	queueMemory       = "128Mi"
	queueMemoryLimit  = "512Mi"
)

// DefaultQueueSize is the size of one node's volume when the operator does not
// say.
const DefaultQueueSize = "10Gi"

// Queue is where durable calls are kept. The zero value is nowhere: the
// satellite takes synchronous calls alone.
type Queue struct {
	On           bool
	Storage      string        // config.StoragePersistent, or else ephemeral
	Chosen       string        // why the storage is that, where the operator left it open
	StorageClass string        // of the volumes that are persistent; "" is the cluster's default
	Size         string        // of one node's volume, as a quantity; "" is DefaultQueueSize
	Keep         time.Duration // how long results stay; 0 is the default
	Share        int           // percent of an algorithm's slots; 0 is the default
	// RetryTimeouts has durable calls tried again that ran out of time.
	RetryTimeouts bool
	Resources     Resources // of one node's pod; it has no GPU
}

// Persistent reports whether the queue outlives its pods.
func (q Queue) Persistent() bool { return q.Storage == config.StoragePersistent }

// queueNodes returns how many pods of its own the queue has.
func (in Input) queueNodes() int {
	if !in.Settings.Queue.On || in.Settings.Profile == ProfileEdge {
		return 0
	}
	return queueNodes
}

// embedded reports whether the engine runs the queue in its own process.
func (in Input) embedded() bool {
	return in.Settings.Queue.On && in.Settings.Profile == ProfileEdge
}

// QueueClaims returns the names of the volume claims that the queue has when it
// is persistent.
func (in Input) QueueClaims() []string {
	switch {
	case !in.Settings.Queue.On || !in.Settings.Queue.Persistent():
		return nil
	case in.embedded():
		return []string{QueueName}
	}
	claims := make([]string, queueNodes)
	for i := range claims {
		claims[i] = fmt.Sprintf("%s-%s-%d", queueVolume, QueueName, i)
	}
	return claims
}

// QueueRules let engines keep in one ConfigMap, and in no other, what is known
// of the queue outside of it.
func QueueRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "update", "patch"}, ResourceNames: []string{config.QueueState},
	}}
}

// queueSettings is routes.json's queue; nil when there is none.
func (r *renderer) queueSettings() *config.QueueSettings {
	q := r.Settings.Queue
	if !q.On {
		return nil
	}
	settings := config.QueueSettings{
		Mode: config.QueueEdge, KeepSeconds: int64(q.Keep / time.Second), SharePercent: q.Share, Storage: config.StorageEphemeral, RetryTimeouts: q.RetryTimeouts,
	}
	if q.Persistent() {
		settings.Storage = config.StoragePersistent
	}
	size := r.queueSize()
	settings.SizeBytes = size.Value()
	if !r.embedded() {
		settings.Mode, settings.Servers = config.QueueCluster, queueAddresses(queueClientPort)
	}
	settings = settings.WithDefaults()
	return &settings
}

// queueAddresses are those of all nodes at a port, by names that stay.
func queueAddresses(port int) []string {
	addresses := make([]string, queueNodes)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("%s-%d.%s:%d", QueueName, i, QueueName, port)
	}
	return addresses
}

// queueSize is the size of one node's volume.
func (r *renderer) queueSize() resource.Quantity {
	text := cmp.Or(r.Settings.Queue.Size, DefaultQueueSize)
	size, err := resource.ParseQuantity(text)
	if err != nil {
		r.err = fmt.Errorf("stage.queue.size: %q is no Kubernetes quantity such as %s", text, DefaultQueueSize)
	}
	return size
}

// queueState is the ConfigMap that the engines keep the queue's incarnation in.
// Its data is theirs.
func (r *renderer) queueState() {
	if !r.Settings.Queue.On {
		return
	}
	r.add(&corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: r.meta(config.QueueState, "queue"),
	})
}

// queue adds the queue's own pods and what they need, or the volume of an
// engine that runs it itself.
func (r *renderer) queue() {
	if r.embedded() && r.Settings.Queue.Persistent() {
		claim := r.queueClaim()
		claim.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}
		claim.ObjectMeta = r.meta(QueueName, "queue")
		r.add(&claim)
	}
	if r.queueNodes() == 0 {
		return
	}
	no := false
	r.add(&corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   r.meta(QueueName, "queue"),
		AutomountServiceAccountToken: &no,
	}, &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: r.serviceMeta(QueueName, "queue", placement.Queue),
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone,
			Selector:  r.selector(QueueName),
			// Nodes look for each other before any of them can be ready.
			PublishNotReadyAddresses: true,
			Ports: []corev1.ServicePort{
				{Name: "clients", Port: queueClientPort, TargetPort: intstr.FromInt32(queueClientPort), Protocol: corev1.ProtocolTCP},
				{Name: "routes", Port: queueRoutePort, TargetPort: intstr.FromInt32(queueRoutePort), Protocol: corev1.ProtocolTCP},
				{Name: queueHealth, Port: queueHealthPort, TargetPort: intstr.FromInt32(queueHealthPort), Protocol: corev1.ProtocolTCP},
			},
		},
	}, r.queueStatefulSet())
}

// queueClaim is the claim of one node's volume.
func (r *renderer) queueClaim() corev1.PersistentVolumeClaim {
	claim := corev1.PersistentVolumeClaim{
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: r.queueSize()}},
		},
	}
	if class := r.Settings.Queue.StorageClass; class != "" {
		claim.Spec.StorageClassName = &class
	}
	return claim
}

// queueVolumeSource is a volume that ends with its pod.
func (r *renderer) queueVolumeSource() corev1.VolumeSource {
	size := r.queueSize()
	return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}}
}

func (r *renderer) queueStatefulSet() *appsv1.StatefulSet {
	nodes, history := int32(queueNodes), int32(3)
	pod := r.queuePod()
	set := &appsv1.StatefulSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: r.meta(QueueName, "queue"),
		Spec: appsv1.StatefulSetSpec{
			Replicas: &nodes, RevisionHistoryLimit: &history, ServiceName: QueueName,
			Selector: &metav1.LabelSelector{MatchLabels: r.selector(QueueName)},
			// All start at once, since a quorum is needed for any of them to be
			// ready; an update still takes one after the other.
			PodManagementPolicy: appsv1.ParallelPodManagement,
			UpdateStrategy:      appsv1.StatefulSetUpdateStrategy{Type: appsv1.RollingUpdateStatefulSetStrategyType},
		},
	}
	if r.Settings.Queue.Persistent() {
		claim := r.queueClaim()
		// No version: a template of claims can never be changed.
		claim.ObjectMeta = metav1.ObjectMeta{Name: queueVolume, Labels: r.podLabels(QueueName, "queue")}
		set.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{claim}
	} else {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: queueVolume, VolumeSource: r.queueVolumeSource()})
	}
	pod.Labels = r.podLabels(QueueName, "queue")
	place := r.Settings.Placement.Of(placement.Queue)
	place.Workload(&set.ObjectMeta)
	r.finish(&pod, place, r.selector(QueueName))
	set.Spec.Template = pod
	return set
}

func (r *renderer) queuePod() corev1.PodTemplateSpec {
	yes, no, user, grace := true, false, int64(engineUser), int64(queueGraceSeconds)
	size := r.queueSize()
	resources, memory := r.systemResources(QueueResources, r.Settings.Queue.Resources, Resources{CPU: queueCPU, Memory: queueMemory}, queueMemoryLimit)
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		ServiceAccountName:            QueueName,
		AutomountServiceAccountToken:  &no,
		EnableServiceLinks:            &no,
		TerminationGracePeriodSeconds: &grace,
		SecurityContext:               &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user},
		Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 100, PodAffinityTerm: corev1.PodAffinityTerm{
				TopologyKey: hostTopology, LabelSelector: &metav1.LabelSelector{MatchLabels: r.selector(QueueName)},
			}}},
		}},
		Containers: []corev1.Container{{
			Name:  QueueName,
			Image: r.image(r.Plan.System.Image),
			Command: []string{engineCommand[0], "satellite", "queue", "--config", configDir, "--dir", queueDir, "--name", "$(POD_NAME)",
				"--size", strconv.FormatInt(size.Value(), 10), "--peers", strings.Join(queueAddresses(queueRoutePort), ",")},
			Ports: []corev1.ContainerPort{
				{Name: "clients", ContainerPort: queueClientPort, Protocol: corev1.ProtocolTCP},
				{Name: "routes", ContainerPort: queueRoutePort, Protocol: corev1.ProtocolTCP},
				{Name: queueHealth, ContainerPort: queueHealthPort, Protocol: corev1.ProtocolTCP},
			},
			Env:             []corev1.EnvVar{{Name: "POD_NAME", ValueFrom: fieldRef("metadata.name")}, memory},
			Resources:       resources,
			SecurityContext: containerSecurity(true, &yes),
			StartupProbe:    httpProbe("/healthz", queueHealth, 2, queueStartSeconds/2),
			ReadinessProbe:  httpProbe("/readyz", queueHealth, 2, 2),
			LivenessProbe:   httpProbe("/healthz", queueHealth, 10, 6),
			VolumeMounts: []corev1.VolumeMount{
				{Name: configVolume, MountPath: configDir, ReadOnly: true}, {Name: queueVolume, MountPath: queueDir},
			},
		}},
		Volumes: []corev1.Volume{{Name: configVolume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: EngineName, Items: []corev1.KeyToPath{{Key: config.TokenFile, Path: config.TokenFile}},
		}}}},
	}}
}

// embedQueue gives the engine's pod the queue that it runs itself.
func (r *renderer) embedQueue(spec *corev1.PodSpec) {
	if !r.embedded() {
		return
	}
	volume := corev1.Volume{Name: queueVolume, VolumeSource: r.queueVolumeSource()}
	if r.Settings.Queue.Persistent() {
		volume.VolumeSource = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: QueueName}}
	}
	spec.Volumes = append(spec.Volumes, volume)
	engine := &spec.Containers[0]
	engine.Command = append(engine.Command[:len(engine.Command):len(engine.Command)], "--queue-dir", queueDir)
	engine.VolumeMounts = append(engine.VolumeMounts, corev1.VolumeMount{Name: queueVolume, MountPath: queueDir})
}

// queuePolicy lets the queue's nodes talk to each other, ask each other what
// their disks have and find each other by name, the engines use it, and whom the configuration names read its health.
func (r *renderer) queuePolicy(both []networkingv1.PolicyType) *networkingv1.NetworkPolicy {
	nodes := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: r.selector(QueueName)}}}
	engines := []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: r.selector(EngineName)}}}
	return r.policy(QueueName, "queue", networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: r.selector(QueueName)},
		PolicyTypes: both,
		Ingress: []networkingv1.NetworkPolicyIngressRule{
			{From: nodes, Ports: []networkingv1.NetworkPolicyPort{tcp(queueRoutePort), tcp(queueHealthPort)}},
			{From: engines, Ports: []networkingv1.NetworkPolicyPort{tcp(queueClientPort)}},
			{From: r.metricsPeers(), Ports: []networkingv1.NetworkPolicyPort{tcp(queueHealthPort)}},
		},
		Egress: []networkingv1.NetworkPolicyEgressRule{
			{Ports: dnsPorts()},
			{To: nodes, Ports: []networkingv1.NetworkPolicyPort{tcp(queueRoutePort), tcp(queueHealthPort)}},
		},
	})
}
