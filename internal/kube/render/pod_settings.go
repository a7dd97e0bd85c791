package render

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// SecretsName is the Secret with the values that were typed at the site. Only its
// name and labels are rendered: what is in it is in the cluster alone.
const SecretsName = "algorithm-secrets"

// annotationSecrets changes with an algorithm's secrets, so that its pods do.
const annotationSecrets = "constellation/secrets"

// PodOverrides is what the operator gave an algorithm's pods here, over what the
// plan says of the same variables and volumes.
type PodOverrides struct {
	constellation.PodSettings
	Secrets []string // variables whose values are in SecretsName
}

// SecretKey is the key of SecretsName with an algorithm's variable.
func SecretKey(vanityURL, variable string) string {
	return AlgorithmName(vanityURL) + "." + variable
}

// PodSettings returns what an algorithm's pods are given beside their image, and
// the names of variables whose values are in SecretsName.
func (in Input) PodSettings(a bundle.Algorithm) (s constellation.PodSettings, secrets []string) {
	over := in.Settings.Pods[a.VanityURL]
	set := func(name string) bool { // here
		_, value := over.Env[name]
		return value || slices.Contains(over.Secrets, name) ||
			slices.ContainsFunc(over.EnvFrom, func(f constellation.EnvFrom) bool { return f.Key != "" && f.Name == name })
	}
	s.Env = map[string]string{}
	for name, value := range a.Env {
		if !set(name) {
			s.Env[name] = value
		}
	}
	maps.Copy(s.Env, over.Env)
	for _, f := range a.EnvFrom {
		if (f.Key == "" || !set(f.Name)) && !slices.Contains(over.EnvFrom, f) {
			s.EnvFrom = append(s.EnvFrom, f)
		}
	}
	s.EnvFrom = append(s.EnvFrom, over.EnvFrom...)
	for _, v := range a.Volumes {
		if !slices.ContainsFunc(over.Volumes, func(other constellation.Volume) bool { return other.Name == v.Name }) {
			s.Volumes = append(s.Volumes, v)
		}
	}
	s.Volumes = append(s.Volumes, over.Volumes...)
	return s, slices.Sorted(slices.Values(over.Secrets))
}

// CheckPodSettings returns what is wrong with what an algorithm's pods are given
// when the plan and the operator have both had their say.
func (in Input) CheckPodSettings(a bundle.Algorithm) error {
	s, secrets := in.PodSettings(a)
	var v constellation.Validation
	s.Check(&v, a.VanityURL+": ")
	for _, name := range secrets {
		constellation.CheckEnvName(&v, a.VanityURL+": secret", name)
	}
	return v.Err()
}

// surround gives the pod of an algorithm its variables and volumes.
func (r *renderer) surround(pod *corev1.PodTemplateSpec, a bundle.Algorithm) {
	s, secrets := r.PodSettings(a)
	container := &pod.Spec.Containers[0]
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		// Kubernetes expands $(NAME) in values.
		container.Env = append(container.Env, corev1.EnvVar{Name: name, Value: strings.ReplaceAll(s.Env[name], "$", "$$")})
	}
	for _, f := range s.EnvFrom {
		if f.Key == "" {
			container.EnvFrom = append(container.EnvFrom, envOf(f))
			continue
		}
		container.Env = append(container.Env, corev1.EnvVar{Name: f.Name, ValueFrom: valueOf(f)})
	}
	for _, name := range secrets {
		container.Env = append(container.Env, corev1.EnvVar{Name: name, ValueFrom: valueOf(constellation.EnvFrom{Secret: SecretsName, Key: SecretKey(a.VanityURL, name)})})
	}
	if mark := r.Settings.SecretMarks[a.VanityURL]; mark != "" {
		pod.Annotations[annotationSecrets] = mark
	}
	for _, v := range s.Volumes {
		name := "volume-" + v.Name
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: sourceOf(v)})
		container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{
			Name: name, MountPath: v.MountPath, ReadOnly: v.ReadOnly || v.Type == constellation.VolumeSecret || v.Type == constellation.VolumeConfigMap,
		})
	}
}

func envOf(f constellation.EnvFrom) corev1.EnvFromSource {
	name := corev1.LocalObjectReference{Name: cmp.Or(f.Secret, f.ConfigMap)}
	if f.Secret != "" {
		return corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: name}}
	}
	return corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: name}}
}

func valueOf(f constellation.EnvFrom) *corev1.EnvVarSource {
	name := corev1.LocalObjectReference{Name: cmp.Or(f.Secret, f.ConfigMap)}
	if f.Secret != "" {
		return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: name, Key: f.Key}}
	}
	return &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: name, Key: f.Key}}
}

func sourceOf(v constellation.Volume) corev1.VolumeSource {
	switch v.Type {
	case constellation.VolumePVC:
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.Source, ReadOnly: v.ReadOnly}}
	case constellation.VolumeSecret:
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: v.Source}}
	case constellation.VolumeConfigMap:
		return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: v.Source}}}
	}
	empty := &corev1.EmptyDirVolumeSource{}
	if size, err := resource.ParseQuantity(v.Size); err == nil {
		empty.SizeLimit = &size
	}
	if v.Memory {
		empty.Medium = corev1.StorageMediumMemory
	}
	return corev1.VolumeSource{EmptyDir: empty}
}
