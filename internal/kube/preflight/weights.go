package preflight

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/room"
)

// Kubernetes mounts images as volumes from 1.33 on, where its feature gate
// ImageVolume is on, and from 1.35 on unless that is off; containerd does from
// 2.1 on, CRI-O from 1.31 on. No API says whether a node can.
const (
	imageVolumesGated = 33
	imageVolumes      = 35
)

var imageRuntimes = map[string][2]int{"containerd": {2, 1}, "cri-o": {1, 31}}

// SettleWeights decides how pods get their weights where the operator left it
// open: as a volume of an image where server and every node can, else unpacked.
// Chosen says why. It changes nothing.
func SettleWeights(ctx context.Context, c *cluster.Cluster, in render.Input) (render.Weights, error) {
	w := in.Settings.Weights
	if w.Mount != render.WeightsAuto {
		return w, nil
	}
	w.Mount = render.WeightsCopy
	images := slices.DeleteFunc(in.Plan.Weights(), func(w bundle.Weights) bool { return w.Form != constellation.WeightsImage })
	switch {
	case len(images) == 0:
		w.Chosen = "they are files, which no cluster mounts"
		return w, nil
	case c.APIs.Minor < imageVolumes:
		w.Chosen = fmt.Sprintf("a server of Kubernetes %s mounts no images unless its feature gate is on", c.Version)
		return w, nil
	}
	nodes, err := c.Typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	switch {
	case apierrors.IsForbidden(err):
		w.Chosen = "this account may not find out what the nodes can mount"
	case err != nil:
		return w, fmt.Errorf("list nodes: %w", err)
	default:
		if w.Chosen = unmountable(nodes.Items, images); w.Chosen == "" {
			w.Mount, w.Chosen = render.WeightsImage, "server and nodes mount images"
		}
	}
	return w, nil
}

// unmountable returns why the nodes cannot mount images of weights, "" when they
// can as far as they tell.
func unmountable(nodes []corev1.Node, images []bundle.Weights) string {
	for _, node := range nodes {
		info := node.Status.NodeInfo
		if !mountsImages(info.ContainerRuntimeVersion) {
			return fmt.Sprintf("node %s has %s, and containerd mounts images from 2.1 on, CRI-O from 1.31 on", node.Name, strings.Replace(info.ContainerRuntimeVersion, "://", " ", 1))
		}
		platform := info.OperatingSystem + "/" + info.Architecture
		for _, w := range images {
			if !slices.ContainsFunc(w.Image.Platforms, func(p string) bool { return p == platform || strings.HasPrefix(p, platform+"/") }) {
				return fmt.Sprintf("the image of weights %s is not for %s, which node %s has", w.Artifact, platform, node.Name)
			}
		}
	}
	return ""
}

func mountsImages(runtime string) bool {
	name, version, _ := strings.Cut(runtime, "://")
	least, known := imageRuntimes[name]
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if !known || len(parts) < 2 {
		return false
	}
	major, err := strconv.Atoi(parts[0])
	minor, minorErr := strconv.Atoi(parts[1])
	return err == nil && minorErr == nil && (major > least[0] || major == least[0] && minor >= least[1])
}

const weightsCheck = "weights"

// weights finds out whether pods get the weights that their algorithms read:
// whether the cluster mounts them, or there is room and a way to unpack them.
func (p *preflight) weights(ctx context.Context) {
	all := p.input.Plan.Weights()
	if len(all) == 0 {
		return
	}
	set := p.input.Settings.Weights
	if set.Mount == render.WeightsImage {
		p.imageWeights(ctx, all)
	}
	p.isolatedWeights()
	if set.Claim != "" {
		p.weightsClaim(ctx)
	} else {
		p.weightsRoom(ctx)
	}
	if !p.has(weightsCheck) {
		how := "unpacked by each pod"
		if set.Mount == render.WeightsImage {
			how = "mounted as images"
		} else if set.Claim != "" {
			how = "unpacked once into the claim " + set.Claim
		}
		if set.Chosen != "" {
			how += ": " + set.Chosen
		}
		p.note(weightsCheck, OK, "", "weights (%d) are %s", len(all), how)
	}
}

// imageWeights finds out whether images can be mounted where the operator, or the
// cluster itself, says so.
func (p *preflight) imageWeights(ctx context.Context, all []bundle.Weights) {
	const fix = "configure stage.weights.mount=copy"
	if p.cluster.APIs.Minor < imageVolumesGated {
		p.note(weightsCheck, Problem, fix, "%s runs Kubernetes %s, which mounts no images; 1.35 does, and 1.33 with its feature gate ImageVolume", p.cluster.Server, p.cluster.Version)
		return
	}
	images := slices.DeleteFunc(slices.Clone(all), func(w bundle.Weights) bool { return w.Form != constellation.WeightsImage })
	nodes, err := p.cluster.Typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		p.noteUnreadable(weightsCheck, err, "this account may not list nodes; whether they mount images is not known")
		return
	}
	if why := unmountable(nodes.Items, images); why != "" {
		p.note(weightsCheck, Problem, fix, "stage.weights.mount is image, and %s", why)
	}
}

// isolatedWeights finds algorithms whose pods would have to reach the registry
// and may not.
func (p *preflight) isolatedWeights() {
	for _, a := range p.input.Plan.Algorithms {
		if len(p.input.Copied(a)) == 0 {
			continue
		}
		if _, listed := p.input.Settings.Egress[a.VanityURL]; listed {
			p.note(weightsCheck, Warning, "", "%s reaches nothing but what stage.egress.%s lists, and its pods get their weights from the registry, which has to be among it", a.VanityURL, a.VanityURL)
			continue
		}
		if a.Runtime.WithDefaults().Network != "isolated" {
			continue
		}
		if p.input.Settings.Weights.Claim == "" {
			p.note(weightsCheck, Problem, "set its network to full, mount images (stage.weights.mount=image), or share a cache (stage.weights.cache=pvc:CLAIM) that an algorithm which is not isolated fills",
				"%s is isolated from the network, so that its pods cannot get their weights from the registry", a.VanityURL)
			continue
		}
		p.note(weightsCheck, Warning, "", "%s is isolated from the network: its pods wait until another algorithm's have put its weights into the claim %s", a.VanityURL, p.input.Settings.Weights.Claim)
	}
}

// weightsClaim looks at the volume in which pods share what was unpacked.
func (p *preflight) weightsClaim(ctx context.Context) {
	name := p.input.Settings.Weights.Claim
	claim, err := p.cluster.Typed.CoreV1().PersistentVolumeClaims(p.namespaceName()).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		p.note(weightsCheck, Problem, "make a claim of access mode ReadWriteMany, or configure stage.weights.cache=none", "namespace %s has no PersistentVolumeClaim %s, which stage.weights.cache names", p.namespaceName(), name)
		return
	case err != nil:
		p.noteUnreadable(weightsCheck, err, "this account may not read the claim %s", name)
		return
	}
	size := claim.Status.Capacity[corev1.ResourceStorage]
	var all []bundle.Weights
	for _, a := range p.input.Plan.Algorithms {
		all = append(all, p.input.Copied(a)...)
	}
	if need := render.UnpackedSize(all); !size.IsZero() && need > size.Value() {
		p.note(weightsCheck, Problem, "give the claim more room, or take smaller weights", "weights of %s, and the claim %s has %s", gigabytes(need), name, gigabytes(size.Value()))
	}
	modes := claim.Spec.AccessModes
	if !slices.Contains(modes, corev1.ReadWriteMany) && !slices.Contains(modes, corev1.ReadOnlyMany) {
		p.note(weightsCheck, Warning, "", "the claim %s can be mounted on one node alone: pods that land on another wait for ever; a cache wants ReadWriteMany", name)
	}
}

// weightsRoom finds weights that no node can hold.
func (p *preflight) weightsRoom(ctx context.Context) {
	nodes, err := p.cluster.Typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		p.noteUnreadable(weightsCheck, err, "this account may not list nodes; whether they have room for weights is not known")
		return
	}
	var most resource.Quantity
	for i := range nodes.Items {
		if disk := nodes.Items[i].Status.Allocatable[corev1.ResourceEphemeralStorage]; room.Ready(&nodes.Items[i]) && disk.Cmp(most) > 0 {
			most = disk
		}
	}
	if most.IsZero() {
		return // the check of pods says that there is no node
	}
	for _, a := range p.input.Plan.Algorithms {
		if need := render.UnpackedSize(a.Weights); need > most.Value() {
			p.note(weightsCheck, Problem, "add a node with a larger disk, share a volume (stage.weights.cache=pvc:CLAIM), or take smaller weights",
				"weights of %s for %s, and no node has more than %s for its pods' files", gigabytes(need), a.VanityURL, gigabytes(most.Value()))
		}
	}
}

// gigabytes returns a number of bytes as people say it.
func gigabytes(n int64) string {
	if n < 1e9 {
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
