package render

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// Where the runner is put beside an algorithm. The image has no such folder
// of its own: the kubelet makes it.
const (
	runnerName = "runner"
	runnerDir  = "/constellation"
	RunnerPath = runnerDir + "/mothership"
	tmpName    = "tmp"
)

// Process is how an image starts, by its configuration.
type Process struct {
	Entrypoint []string
	Cmd        []string
}

// runner puts the runner into the pod of a pipe image, which stays as it is:
// an init container copies it into a volume, and the container starts it in
// the place of the image's own process.
func (r *renderer) runner(spec *corev1.PodSpec, a bundle.Algorithm) {
	run := a.Runtime.WithDefaults()
	if run.Protocol != constellation.ProtocolPipe {
		return
	}
	yes, user := true, int64(engineUser)
	security := containerSecurity(true, &yes)
	security.RunAsUser, security.RunAsGroup = &user, &user
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: runnerName, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	spec.InitContainers = []corev1.Container{{
		Name:            runnerName,
		Image:           r.image(r.Plan.System.Image),
		Command:         []string{engineCommand[0], "satellite", "runner", "--copy-to", runnerDir},
		SecurityContext: security,
		Resources:       ofContainer(spec.Containers[0]), // a pod's quota counts the larger one, and wants both to say
		VolumeMounts:    []corev1.VolumeMount{{Name: runnerName, MountPath: runnerDir}},
	}}
	container := &spec.Containers[0]
	container.Command = runnerCommand(run.Port, r.Processes[a.Image.Digest])
	container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: runnerName, MountPath: runnerDir, ReadOnly: true})
	// The runner listens from the start, and says by GET whether it can serve.
	container.ReadinessProbe = httpProbe("/", algorithmPort, 2, 3)
}

// ofContainer returns the processors and memory of a container.
func ofContainer(c corev1.Container) corev1.ResourceRequirements {
	some := func(list corev1.ResourceList) corev1.ResourceList {
		copied := corev1.ResourceList{}
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if q, ok := list[name]; ok {
				copied[name] = q
			}
		}
		return copied
	}
	return corev1.ResourceRequirements{Requests: some(c.Resources.Requests), Limits: some(c.Resources.Limits)}
}

// runnerCommand starts the image's own process: its entrypoint when it has
// one. A command alone may be what a base image came with, such as a shell,
// so the well-known programs go before it.
func runnerCommand(port int, p Process) []string {
	command := []string{RunnerPath, "satellite", "runner", "--listen", ":" + strconv.Itoa(port)}
	if len(p.Entrypoint) == 0 {
		command = append(command, "--find")
	}
	if len(p.Entrypoint)+len(p.Cmd) == 0 {
		return command
	}
	command = append(command, "--")
	for _, word := range append(append([]string(nil), p.Entrypoint...), p.Cmd...) {
		// Kubernetes expands $(NAME) in commands, and a container's own
		// configuration does not.
		command = append(command, strings.ReplaceAll(word, "$", "$$"))
	}
	return command
}

// readOnlyRoot gives an image that says so a root file system that cannot be
// written to, and a /tmp that can.
func (r *renderer) readOnlyRoot(spec *corev1.PodSpec, a bundle.Algorithm) {
	if !a.Runtime.ReadOnlyRoot {
		return
	}
	yes := true
	container := &spec.Containers[0]
	container.SecurityContext.ReadOnlyRootFilesystem = &yes
	if slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/tmp" }) {
		return // the algorithm has a volume there
	}
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: tmpName, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: tmpName, MountPath: "/tmp"})
}
