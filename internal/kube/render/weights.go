package render

import (
	"path"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// How a cluster gives algorithms their weights: the values of
// stage.weights.mount, of which auto is one of the others once it is settled.
const (
	WeightsAuto  = "auto"
	WeightsImage = "image" // as a volume that the kubelet mounts
	WeightsCopy  = "copy"  // unpacked by an init container
)

// Weights is how algorithms get the weights that they read.
type Weights struct {
	Mount    string // WeightsImage or WeightsCopy
	Chosen   string // why, where the operator left it open
	Claim    string // of a volume in which pods share what was unpacked; "" is none
	CA       string // of the registry, PEM
	Insecure bool   // the registry may be asked by plain HTTP
}

const (
	weightsVolume   = "weights"
	weightsDir      = "/weights"
	weightsAuth     = "weights-login"
	weightsAuthDir  = "/registry/login"
	weightsCA       = "registry-ca"
	weightsCADir    = "/registry/ca"
	weightsCAFile   = "ca.crt"
	weightsFlag     = "--image="
	dockerConfigKey = corev1.DockerConfigJsonKey
	// weightsSlack is what a volume of unpacked weights may hold beside them.
	weightsSlack = 64 << 20
)

// Mounts reports whether the cluster mounts weights itself. It mounts images:
// what is a file a layer is always unpacked.
func (w Weights) Mounts(form constellation.WeightsForm) bool {
	return w.Mount == WeightsImage && form == constellation.WeightsImage
}

// Copied returns the weights of an algorithm that its pods unpack.
func (in Input) Copied(a bundle.Algorithm) []bundle.Weights {
	var copied []bundle.Weights
	for _, w := range a.Weights {
		if !in.Settings.Weights.Mounts(w.Form) {
			copied = append(copied, w)
		}
	}
	return copied
}

// UnpackedSize returns how many bytes weights have unpacked, each artifact once.
func UnpackedSize(weights []bundle.Weights) int64 {
	var total int64
	seen := map[string]bool{}
	for _, w := range weights {
		if !seen[w.Image.Digest] {
			seen[w.Image.Digest] = true
			total += w.UnpackedSize
		}
	}
	return total
}

// weights mounts an algorithm's weights, none of which it can write to.
func (r *renderer) weights(spec *corev1.PodSpec, a bundle.Algorithm) {
	container := &spec.Containers[0]
	for i, w := range a.Weights {
		mount := corev1.VolumeMount{Name: weightsVolume, MountPath: w.Path, SubPath: strings.TrimPrefix(w.Image.Digest, "sha256:"), ReadOnly: true}
		if r.Settings.Weights.Mounts(w.Form) {
			mount.Name, mount.SubPath = weightsVolume+"-"+strconv.Itoa(i), ""
			spec.Volumes = append(spec.Volumes, corev1.Volume{Name: mount.Name, VolumeSource: corev1.VolumeSource{
				Image: &corev1.ImageVolumeSource{Reference: r.image(w.Image), PullPolicy: corev1.PullIfNotPresent},
			}})
		}
		container.VolumeMounts = append(container.VolumeMounts, mount)
	}
	if copied := r.Copied(a); len(copied) > 0 {
		r.unpack(spec, copied)
	}
}

// unpack gives a pod the volume of its unpacked weights, and an init container
// for each that makes them.
func (r *renderer) unpack(spec *corev1.PodSpec, copied []bundle.Weights) {
	total := UnpackedSize(copied)
	room := resource.NewQuantity(total+weightsSlack, resource.BinarySI)
	volume := corev1.Volume{Name: weightsVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: room}}}
	if claim := r.Settings.Weights.Claim; claim != "" {
		volume.VolumeSource = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}
		group, onMismatch := int64(engineUser), corev1.FSGroupChangeOnRootMismatch
		spec.SecurityContext.FSGroup = &group // a new volume is its root's
		if r.APIs.Minor >= 20 {
			spec.SecurityContext.FSGroupChangePolicy = &onMismatch
		}
	}
	spec.Volumes = append(spec.Volumes, volume)
	mounts := append([]corev1.VolumeMount{{Name: weightsVolume, MountPath: weightsDir}}, r.registryAccess(spec)...)
	seen := map[string]bool{}
	for _, w := range copied {
		if seen[w.Image.Digest] {
			continue
		}
		seen[w.Image.Digest] = true
		c := r.unpacker(spec, w, mounts)
		c.Name = weightsVolume + "-" + strconv.Itoa(len(seen)-1)
		if r.Settings.Weights.Claim == "" { // so that a node is chosen that has the room
			c.Resources.Requests[corev1.ResourceEphemeralStorage] = *room
		}
		spec.InitContainers = append(spec.InitContainers, c)
	}
}

// unpacker is the init container that makes the folder of some weights.
func (r *renderer) unpacker(spec *corev1.PodSpec, w bundle.Weights, mounts []corev1.VolumeMount) corev1.Container {
	yes, user := true, int64(engineUser)
	security := containerSecurity(true, &yes)
	security.RunAsUser, security.RunAsGroup = &user, &user
	command := []string{engineCommand[0], "satellite", "weights", weightsFlag + r.image(w.Image), "--into=" + weightsDir,
		"--max-bytes=" + strconv.FormatInt(w.UnpackedSize, 10), "--max-files=" + strconv.Itoa(w.Files)}
	if r.Settings.PullSecret != "" {
		command = append(command, "--auth-file="+path.Join(weightsAuthDir, dockerConfigKey))
	}
	if r.Settings.Weights.CA != "" {
		command = append(command, "--ca-file="+path.Join(weightsCADir, weightsCAFile))
	}
	if r.Settings.Weights.Insecure {
		command = append(command, "--insecure")
	}
	return corev1.Container{
		Image: r.image(r.Plan.System.Image), Command: command, SecurityContext: security,
		Resources: ofContainer(spec.Containers[0]), VolumeMounts: mounts,
	}
}

// registryAccess adds the volumes by which a pod reaches the registry, and
// returns their mounts.
func (r *renderer) registryAccess(spec *corev1.PodSpec) []corev1.VolumeMount {
	var mounts []corev1.VolumeMount
	if r.Settings.PullSecret != "" {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: weightsAuth, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: r.Settings.PullSecret, Items: []corev1.KeyToPath{{Key: dockerConfigKey, Path: dockerConfigKey}},
		}}})
		mounts = append(mounts, corev1.VolumeMount{Name: weightsAuth, MountPath: weightsAuthDir, ReadOnly: true})
	}
	if r.Settings.Weights.CA != "" {
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: weightsCA, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: weightsCA},
		}}})
		mounts = append(mounts, corev1.VolumeMount{Name: weightsCA, MountPath: weightsCADir, ReadOnly: true})
	}
	return mounts
}

// registryCA is whom init containers trust at the registry.
func (r *renderer) registryCA() {
	if r.Settings.Weights.CA == "" {
		return
	}
	for _, a := range r.Plan.Algorithms {
		if len(r.Copied(a)) > 0 {
			r.add(&corev1.ConfigMap{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
				ObjectMeta: r.meta(weightsCA, "registry"),
				Data:       map[string]string{weightsCAFile: r.Settings.Weights.CA},
			})
			return
		}
	}
}

// weightsOf returns the weights that an init container unpacks, nil where it is no
// such one.
func weightsOf(container map[string]any) any {
	command, _, _ := unstructured.NestedStringSlice(container, "command")
	if len(command) < 4 || command[2] != "weights" {
		return nil
	}
	return strings.TrimPrefix(command[3], weightsFlag)
}
