package render

import (
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// algorithmPort names the container's port; the engine reads the number.
const algorithmPort = "algorithm"

const (
	// algorithmDrainSeconds is how long a pod that ends still takes calls: the
	// engines hear of its end a moment after it does. The runner does the same.
	algorithmDrainSeconds = 5
	// algorithmGraceSeconds lets a running call of the default time-out end
	// after that.
	algorithmGraceSeconds = config.DefaultTimeoutSeconds + 2*algorithmDrainSeconds
	// sleepMinor is the first Kubernetes 1.x whose kubelet can sleep before it
	// ends a container, with no program in the image.
	sleepMinor = 30
)

// GPUResource is what stage.resources.<vanity>.gpu asks for where
// stage.placement names no other.
const GPUResource = "nvidia.com/gpu"

// Annotations of algorithms: what runs, and the hash of the key it calls
// siblings with, so that a new key restarts who reads it only at start.
const (
	AnnotationVanityURL = "constellation/vanity-url"
	annotationAlgorithm = "constellation/algorithm"
	annotationKeyHash   = "constellation/key-hash"
)

// algorithmService is headless: the engine talks to replicas, never to a
// virtual address.
func (r *renderer) algorithmService(a bundle.Algorithm) *corev1.Service {
	name, port := r.names[a.VanityURL], int32(a.Runtime.WithDefaults().Port)
	meta := r.serviceMeta(name, "algorithm", a.VanityURL)
	metav1.SetMetaDataAnnotation(&meta, AnnotationVanityURL, a.VanityURL)
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta,
		Spec: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone,
			Selector:  r.selector(name),
			Ports: []corev1.ServicePort{{
				Name: algorithmPort, Port: port, TargetPort: intstr.FromString(algorithmPort), Protocol: corev1.ProtocolTCP,
			}},
		},
	}
}

func (r *renderer) algorithmDeployment(a bundle.Algorithm) *appsv1.Deployment {
	d := r.deployment(r.names[a.VanityURL], "algorithm", r.Replicas(a), r.algorithmPod(a), r.Settings.Placement.Of(a.VanityURL))
	d.Annotations = map[string]string{AnnotationVanityURL: a.VanityURL, annotationAlgorithm: a.Algorithm}
	if bounds, ok := r.Scale(a); ok {
		d.Annotations[AnnotationScale] = bounds.String()
		if r.Stable {
			d.Spec.Replicas = nil // a tool that applies it again and again would set it back each time
		}
	}
	return d
}

func (r *renderer) algorithmPod(a bundle.Algorithm) corev1.PodTemplateSpec {
	no, grace, run := false, int64(algorithmGraceSeconds), a.Runtime.WithDefaults()
	container := corev1.Container{
		Name:  "algorithm",
		Image: r.image(a.Image),
		Ports: []corev1.ContainerPort{{Name: algorithmPort, ContainerPort: int32(run.Port), Protocol: corev1.ProtocolTCP}},
		Env: []corev1.EnvVar{
			{Name: "ALGORITHMIA_API", Value: "http://" + EngineName},
			{Name: "ALGORITHMIA_API_KEY", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: AlgorithmKey}, Key: "key",
			}}},
		},
		Resources:       r.resources(a),
		SecurityContext: containerSecurity(false, RunAsNonRoot(r.Users[a.Image.Digest])),
		ReadinessProbe:  readiness(run),
	}
	pod := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
			AnnotationVanityURL: a.VanityURL,
			annotationAlgorithm: a.Algorithm,
			annotationKeyHash:   config.HashKey(config.HashKey(r.Plan.InternalKey()))[:16],
		}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken:  &no,
			EnableServiceLinks:            &no,
			TerminationGracePeriodSeconds: &grace,
			SecurityContext:               &corev1.PodSecurityContext{},
			Containers:                    []corev1.Container{container},
		},
	}
	if run.Protocol != constellation.ProtocolPipe && r.APIs.Minor >= sleepMinor {
		pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: algorithmDrainSeconds}}}
	}
	r.surround(&pod, a)
	r.runner(&pod.Spec, a)
	r.weights(&pod.Spec, a)
	r.readOnlyRoot(&pod.Spec, a)
	return pod
}

// RunAsNonRoot is true when the image's user is a number other than 0: the kubelet
// can hold a container to that, and to a name it cannot.
func RunAsNonRoot(user string) *bool {
	id, _, _ := strings.Cut(user, ":")
	n, err := strconv.Atoi(id)
	if err != nil || n <= 0 {
		return nil
	}
	yes := true
	return &yes
}

// readiness: a langserver opens its port once the algorithm is loaded; an
// HTTP server may say more by its health path.
func readiness(run constellation.Runtime) *corev1.Probe {
	if run.Protocol == constellation.ProtocolHTTP && run.HealthPath != "" {
		return httpProbe(run.HealthPath, algorithmPort, 2, 3)
	}
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString(algorithmPort)}},
		PeriodSeconds: 2, FailureThreshold: 3, TimeoutSeconds: 5,
	}
}
