package render

import (
	"cmp"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// What an engine asks for when the operator does not say. Its memory is
// bounded by the budgets of request and reply bodies, which it takes from
// GOMEMLIMIT; the limit is for what they do not count.
const (
	EngineCPU         = "100m"
	engineMemory      = "64Mi"
	engineMemoryLimit = "1Gi"
	// goMemoryPercent of the pod's limit is GOMEMLIMIT: the kernel ends a
	// process at the limit, and the Go runtime slows it down before.
	goMemoryPercent = 90
)

// EngineResources is the name by which stage.resources knows the engine. No
// vanity URL is a single word.
const EngineResources = "engine"

// engineResources are the operator's over the defaults, and GOMEMLIMIT. CPU
// has no limit unless it is asked for: throttling makes calls late and frees
// nothing.
func (r *renderer) engineResources() (corev1.ResourceRequirements, corev1.EnvVar) {
	return r.systemResources(EngineResources, r.Settings.Engine, Resources{CPU: EngineCPU, Memory: engineMemory}, engineMemoryLimit)
}

// systemResources are the operator's over what a system pod asks for and its
// limit of memory, and GOMEMLIMIT.
func (r *renderer) systemResources(of string, over, asks Resources, memoryLimit string) (corev1.ResourceRequirements, corev1.EnvVar) {
	asked := r.requirements(of, Resources{
		CPU: cmp.Or(over.CPU, asks.CPU), CPULimit: over.CPULimit, Memory: cmp.Or(over.Memory, memoryLimit),
	}, over.CPU == "")
	if over.Memory == "" {
		asked.Requests[corev1.ResourceMemory] = resource.MustParse(asks.Memory)
	}
	limit := asked.Limits[corev1.ResourceMemory]
	return asked, corev1.EnvVar{Name: "GOMEMLIMIT", Value: strconv.FormatInt(limit.Value()/100*goMemoryPercent, 10)}
}

// resources are the operator's over the image's.
func (r *renderer) resources(a bundle.Algorithm) corev1.ResourceRequirements {
	over := r.Settings.Resources[a.VanityURL]
	gpu := a.Runtime.GPU
	if over.GPU != nil {
		gpu = *over.GPU
	}
	asked := r.requirements(a.VanityURL, Resources{
		CPU: cmp.Or(over.CPU, a.Runtime.CPU), CPULimit: over.CPULimit, Memory: cmp.Or(over.Memory, a.Runtime.Memory),
	}, over.CPU == "")
	if gpu > 0 {
		asked.Limits[r.gpuResource(a)] = *resource.NewQuantity(int64(gpu), resource.DecimalSI)
	}
	return asked
}

// requirements are resources as Kubernetes has them. A CPU limit below what is
// asked for lowers that, unless the operator set both.
func (r *renderer) requirements(of string, want Resources, lower bool) corev1.ResourceRequirements {
	requests, limits := corev1.ResourceList{}, corev1.ResourceList{}
	r.quantity(requests, corev1.ResourceCPU, want.CPU, of)
	r.quantity(limits, corev1.ResourceCPU, want.CPULimit, of)
	r.quantity(requests, corev1.ResourceMemory, want.Memory, of)
	r.quantity(limits, corev1.ResourceMemory, want.Memory, of)
	limit, limited := limits[corev1.ResourceCPU]
	if cpu, ok := requests[corev1.ResourceCPU]; ok && limited && cpu.Cmp(limit) > 0 {
		if !lower {
			r.err = fmt.Errorf("stage.resources.%s.cpu_limit=%s is less than the %s that .cpu asks for", of, want.CPULimit, want.CPU)
		}
		requests[corev1.ResourceCPU] = limit
	}
	return corev1.ResourceRequirements{Requests: requests, Limits: limits}
}

// gpuResource is what one of the algorithm's GPUs is called on this cluster.
func (r *renderer) gpuResource(a bundle.Algorithm) corev1.ResourceName {
	return corev1.ResourceName(cmp.Or(r.Settings.Placement.Of(a.VanityURL).GPUResource, GPUResource))
}
