package render

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/constellation-serving/constellation/internal/kube/placement"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

const (
	enginePort    = 8080
	metricsPort   = 9090
	engineUser    = 65532 // "nonroot" of the system image
	configDir     = "/etc/constellation"
	configVolume  = "config"
	engineHTTP    = "http"
	hostTopology  = "kubernetes.io/hostname"
	seccompLegacy = "seccomp.security.alpha.kubernetes.io/pod" // before Kubernetes 1.19
)

func (r *renderer) engineService() *corev1.Service {
	service := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: r.serviceMeta(EngineName, "engine", placement.Engine),
		Spec: corev1.ServiceSpec{
			Selector: r.selector(EngineName),
			Ports: []corev1.ServicePort{{
				Name: engineHTTP, Port: servicePort, TargetPort: intstr.FromString(engineHTTP), Protocol: corev1.ProtocolTCP,
			}},
		},
	}
	r.secureService(service)
	return service
}

func (r *renderer) engineDeployment() *appsv1.Deployment {
	pod := r.enginePod()
	r.securePod(&pod.Spec)
	r.embedQueue(&pod.Spec)
	d := r.deployment(EngineName, "engine", r.engines(), pod, r.Settings.Placement.Of(placement.Engine))
	if r.embedded() && r.Settings.Queue.Persistent() {
		// A volume is one pod's at a time: the old one has to end first.
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}
	return d
}

// deployment is what the engine's and the algorithms' have in common: the old
// pods serve until as many new ones are ready.
func (r *renderer) deployment(name, component string, replicas int, pod corev1.PodTemplateSpec, place placement.Placement) *appsv1.Deployment {
	n, history, none := int32(replicas), int32(3), intstr.FromInt32(0)
	surge := intstr.FromString("25%")
	pod.Labels = r.podLabels(name, component)
	r.finish(&pod, place, r.selector(name))
	meta := r.meta(name, component)
	place.Workload(&meta)
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas: &n, RevisionHistoryLimit: &history,
			Selector: &metav1.LabelSelector{MatchLabels: r.selector(name)},
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &none, MaxSurge: &surge},
			},
			Template: pod,
		},
	}
}

// finish adds what all pods have in common: they spread over nodes, pull with
// the registry's login, and run where the operator places them.
func (r *renderer) finish(pod *corev1.PodTemplateSpec, place placement.Placement, selector map[string]string) {
	pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: hostTopology, WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: selector},
	}}
	if r.Settings.PullSecret != "" {
		pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: r.Settings.PullSecret}}
	}
	r.seccomp(pod)
	place.Pod(pod, selector)
}

// seccomp asks for the runtime's default profile, in the way the server knows.
func (r *renderer) seccomp(pod *corev1.PodTemplateSpec) {
	if r.APIs.Minor < 19 {
		if pod.Annotations == nil {
			pod.Annotations = map[string]string{}
		}
		pod.Annotations[seccompLegacy] = "runtime/default"
		return
	}
	pod.Spec.SecurityContext.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
}

func (r *renderer) enginePod() corev1.PodTemplateSpec {
	yes, user, grace := true, int64(engineUser), int64(engineGraceSeconds)
	links := false
	resources, memory := r.engineResources()
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		ServiceAccountName:            EngineName,
		AutomountServiceAccountToken:  &yes,
		EnableServiceLinks:            &links,
		TerminationGracePeriodSeconds: &grace,
		SecurityContext:               &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user},
		Containers: []corev1.Container{{
			Name:    "engine",
			Image:   r.image(r.Plan.System.Image),
			Command: engineCommand,
			Ports: []corev1.ContainerPort{
				{Name: engineHTTP, ContainerPort: enginePort, Protocol: corev1.ProtocolTCP},
				{Name: metricsPortName, ContainerPort: metricsPort, Protocol: corev1.ProtocolTCP},
			},
			Env: []corev1.EnvVar{{Name: "POD_NAME", ValueFrom: fieldRef("metadata.name")},
				{Name: "POD_NAMESPACE", ValueFrom: fieldRef("metadata.namespace")}, memory},
			Resources:       resources,
			SecurityContext: containerSecurity(true, &yes),
			StartupProbe:    httpProbe("/healthz", engineHTTP, 1, 60),
			ReadinessProbe:  httpProbe("/readyz", engineHTTP, 2, 2),
			LivenessProbe:   httpProbe("/healthz", engineHTTP, 10, 3),
			VolumeMounts:    []corev1.VolumeMount{{Name: configVolume, MountPath: configDir, ReadOnly: true}},
		}},
		// One folder, and no subPath, so that a change reaches a running pod.
		Volumes: []corev1.Volume{{Name: configVolume, VolumeSource: corev1.VolumeSource{
			Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ConfigMap: &corev1.ConfigMapProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: EngineName},
					Items:                []corev1.KeyToPath{{Key: config.RoutesFile, Path: config.RoutesFile}},
				}},
				{Secret: &corev1.SecretProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: EngineName},
					Items: []corev1.KeyToPath{{Key: config.KeysFile, Path: config.KeysFile},
						{Key: config.TokenFile, Path: config.TokenFile}},
				}},
				{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
					Path: config.ProbeFile, FieldRef: fieldRef("metadata.annotations['" + config.ProbeAnnotation + "']").FieldRef,
				}}}},
			}},
		}}},
	}}
}

// engineGraceSeconds is longer than the engine's drain, 305 s by default, so
// that it ends by itself.
const engineGraceSeconds = 330

var engineCommand = []string{"/usr/bin/mothership", "satellite", "engine", "--config", configDir, "--listen", ":8080"}

func fieldRef(path string) *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}
}

// containerSecurity is the container's part of the restricted Pod Security
// standard.
func containerSecurity(readOnly bool, nonRoot *bool) *corev1.SecurityContext {
	no := false
	s := &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no,
		RunAsNonRoot:             nonRoot,
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	if readOnly {
		s.ReadOnlyRootFilesystem = &readOnly
	}
	return s
}

func httpProbe(path, port string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(port)}},
		PeriodSeconds: period, FailureThreshold: failures, TimeoutSeconds: 5,
	}
}
