package preflight

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/storage"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// queueCheck is the name of what is noted of the queue's storage.
const queueCheck = "queue storage"

// leastClaim is a size that every class gives.
var leastClaim = *resource.NewQuantity(config.MinQueueSize, resource.BinarySI)

// noProvisioner is the provisioner of classes whose volumes somebody makes by
// hand.
const noProvisioner = "kubernetes.io/no-provisioner"

// drainFirst is what to do where calls that were accepted would be left behind.
const drainFirst = "let the queue run empty first: 'queue drain' of this launch takes no new calls and waits for those that it has"

// queueStorage finds out whether the queue gets its volumes, and says what is
// lost when, before anything is.
func (p *preflight) queueStorage(ctx context.Context) {
	live, err := readQueue(ctx, p.cluster, p.input.Plan.Launch.ID)
	switch {
	case err != nil && p.input.Settings.Queue.On:
		p.note(queueCheck, unlessForbidden(err), "", "%v", err)
		return
	case err != nil:
		return
	}
	p.leftBehind(live)
	if !p.input.Settings.Queue.On || !p.unchangeable(ctx, live) {
		return
	}
	if !p.input.Settings.Queue.Persistent() {
		p.note(queueCheck, Warning, "", "%s", EphemeralQueue(p.input.Settings.Profile)+p.because())
		return
	}
	if p.missingClaims(ctx) && p.binds(ctx) {
		p.note(queueCheck, OK, "", "the queue keeps its calls on %s", p.volumes())
	}
}

// EphemeralQueue says what a queue can lose whose disks end with its pods.
func EphemeralQueue(profile string) string {
	const mend = "; stage.queue.storage=persistent keeps them on volumes"
	if profile == render.ProfileEdge {
		return "the queue's storage is ephemeral: when the engine's pod is replaced, by a deploy that changes it too, or its node is lost, the calls that it accepted and the results that it kept are lost" + mend
	}
	return "the queue's storage is ephemeral: when two of its three pods are deleted or lose their nodes at a time, the calls that it accepted and the results that it kept are lost" + mend
}

// because says why the storage is what it is, where the operator left it open.
func (p *preflight) because() string {
	if why := p.input.Settings.Queue.Chosen; why != "" {
		return " (stage.queue.storage=auto: " + why + ")"
	}
	return ""
}

// volumes names the queue's volumes.
func (p *preflight) volumes() string {
	q, of := p.input.Settings.Queue, "the cluster's default StorageClass"
	if p.class != nil {
		of = "StorageClass " + p.class.Name
	} else if q.StorageClass != "" {
		of = "StorageClass " + q.StorageClass
	}
	n, size := len(p.input.QueueClaims()), cmp.Or(q.Size, render.DefaultQueueSize)
	if n == 1 {
		return fmt.Sprintf("a volume of %s of %s", size, of)
	}
	return fmt.Sprintf("%d volumes of %s of %s", n, size, of)
}

// leftBehind warns of a queue that the deploy takes away.
func (p *preflight) leftBehind(live liveQueue) {
	profile, on := p.input.Settings.Profile, p.input.Settings.Queue.On
	var text string
	switch {
	case !on && (live.set != nil || live.engine != nil):
		text = "stage.queue=off takes the queue away: calls that it accepted and that have not run do not run, and results can no longer be had"
	case on && profile == render.ProfileEdge && live.set != nil:
		text = "stage.profile=edge takes the queue's own pods away: calls that they accepted and that have not run are not taken along"
	case on && profile != render.ProfileEdge && live.engine != nil:
		text = "stage.profile=ha gives the queue pods of its own: calls that the engine's own queue accepted and that have not run are not taken along"
	case on && profile == render.ProfileEdge && live.engine != nil && render.QueueClaimed(live.engine) != p.input.Settings.Queue.Persistent():
		text = "stage.queue.storage changes: calls that the queue accepted and that have not run are not taken along"
	default:
		return
	}
	claimed := live.set != nil && render.QueueClaimed(live.set) || live.engine != nil && render.QueueClaimed(live.engine)
	if claimed {
		text += "; its volumes stay, and a deploy that goes back finds them"
	}
	p.note(queueCheck, Warning, "", "%s; %s", text, drainFirst)
}

// unchangeable finds settings that Kubernetes cannot change of what is there,
// and reports whether there are none.
func (p *preflight) unchangeable(ctx context.Context, live liveQueue) bool {
	wanted := p.input.Settings.Queue
	claims, size := p.input.QueueClaims(), resource.MustParse(cmp.Or(wanted.Size, render.DefaultQueueSize))
	var have map[string]any
	switch {
	case p.input.Settings.Profile == render.ProfileEdge && len(claims) > 0:
		claim, err := p.cluster.Get(ctx, "v1", "PersistentVolumeClaim", render.QueueName)
		if err != nil || claim == nil || claim.GetLabels()[render.LabelLaunch] != p.input.Plan.Launch.ID {
			return true
		}
		have = claim.Object
	case p.input.Settings.Profile == render.ProfileEdge || live.set == nil:
		return true
	case render.QueueClaimed(live.set) != wanted.Persistent():
		p.cannotChange("stage.queue.storage", config.StorageEphemeral, config.StoragePersistent, !wanted.Persistent())
		return false
	case !wanted.Persistent():
		return true // the size of an emptyDir may change
	default:
		have = render.QueueClaim(live.set)
	}
	class, _, _ := unstructured.NestedString(have, "spec", "storageClassName")
	if wanted.StorageClass != "" && class != wanted.StorageClass || wanted.StorageClass == "" && class != "" && live.set != nil && len(claims) > 1 {
		p.cannotChange("stage.queue.storage_class", class, wanted.StorageClass, false)
		return false
	}
	text, _, _ := unstructured.NestedString(have, "spec", "resources", "requests", "storage")
	old, err := resource.ParseQuantity(text)
	if err == nil && (len(claims) > 1 && old.Cmp(size) != 0 || size.Cmp(old) < 0) {
		p.cannotChange("stage.queue.size", old.String(), size.String(), false)
		return false
	}
	return true
}

// cannotChange notes a setting of a queue that is there; swapped exchanges the
// two values.
func (p *preflight) cannotChange(key, old, wanted string, swapped bool) {
	if swapped {
		old, wanted = wanted, old
	}
	p.note(queueCheck, Problem, fmt.Sprintf("configure %s=%s leaves it as it is. To change it, %s; then configure stage.queue=off and deploy, delete its volumes with "+
		"'kubectl -n %s delete pvc -l %s=%s', and configure stage.queue=on %s=%s and deploy", key, old, drainFirst, p.namespaceName(), render.LabelLaunch, p.input.Plan.Launch.ID, key, wanted),
		"%s is %q on the cluster and is to be %q, and Kubernetes cannot change it of a queue that is there", key, old, wanted)
}

// missingClaims notes which claims a deploy makes, and reports whether those
// that are there are this launch's.
func (p *preflight) missingClaims(ctx context.Context) bool {
	var theirs []string
	for _, name := range p.input.QueueClaims() {
		claim, err := p.cluster.Get(ctx, "v1", "PersistentVolumeClaim", name)
		switch {
		case err != nil:
			p.note(queueCheck, unlessForbidden(err), "", "%v", err)
			return false
		case claim == nil:
			p.claims = append(p.claims, name)
		case claim.GetLabels()[render.LabelLaunch] != p.input.Plan.Launch.ID:
			theirs = append(theirs, name)
		}
	}
	if len(theirs) > 0 {
		p.note(queueCheck, Problem, "choose another namespace with configure stage.kubernetes.namespace=NAME; or, when nobody needs what is on them, delete them with 'kubectl -n "+
			p.namespaceName()+" delete pvc "+strings.Join(theirs, " ")+"'",
			"namespace %s has volume claims of the queue's names that are not this launch's: %s", p.namespaceName(), strings.Join(theirs, ", "))
		return false
	}
	return true
}

// binds finds out whether claims of the queue's class get volumes, and reports
// whether they do.
func (p *preflight) binds(ctx context.Context) bool {
	wanted := p.input.Settings.Queue.StorageClass
	list, err := p.cluster.Typed.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if apierrors.IsForbidden(err) {
		return p.bindsUnseen(ctx, wanted)
	}
	if err != nil {
		p.note(queueCheck, Problem, "", "list storage classes: %v", err)
		return false
	}
	p.class = storage.Default(list.Items)
	names := make([]string, len(list.Items))
	for i := range list.Items {
		if names[i] = list.Items[i].Name; names[i] == wanted {
			p.class = &list.Items[i]
		}
	}
	slices.Sort(names)
	there := cmp.Or(strings.Join(names, ", "), "none")
	switch {
	case len(p.claims) == 0: // they are there already
	case wanted != "" && (p.class == nil || p.class.Name != wanted):
		p.note(queueCheck, Problem, "configure stage.queue.storage_class to one of those that the cluster has: "+there,
			"the cluster has no StorageClass %q", wanted)
		return false
	case p.class == nil:
		p.note(queueCheck, Problem, "configure stage.queue.storage_class to one of those that the cluster has ("+there+"), or stage.queue.storage=ephemeral",
			"the queue's volumes are to be of the cluster's default StorageClass, and it has none, so that its pods would never start")
		return false
	case p.class.Provisioner == noProvisioner:
		return p.madeByHand(ctx)
	}
	return p.class == nil || p.makesVolumes(ctx)
}

// makesVolumes reports whether nothing shows that the class makes no volumes.
func (p *preflight) makesVolumes(ctx context.Context) bool {
	why, err := storage.Trouble(ctx, p.cluster.Typed, p.namespaceName(), p.class, time.Now())
	switch {
	case err != nil:
		p.note(queueCheck, Problem, "", "%v", err)
	case why != "":
		p.note(queueCheck, Problem, "have an admin of the cluster look after the class's provisioner "+p.class.Provisioner+"; or configure stage.queue.storage_class to another class, or stage.queue.storage=ephemeral",
			"StorageClass %s makes no volumes, so that the queue's pods would never start: %s", p.class.Name, why)
	}
	return err == nil && why == ""
}

// bindsUnseen does what an account can that may not list classes.
func (p *preflight) bindsUnseen(ctx context.Context, wanted string) bool {
	if wanted != "" {
		p.note(queueCheck, Unknown, "", "this account may not look for StorageClass %s; it is assumed to be there and to make volumes", wanted)
		return false
	}
	name, err := defaultStorageClass(ctx, p.cluster)
	switch {
	case err != nil:
		p.note(queueCheck, Unknown, "", "this account may not look for the cluster's default StorageClass; there is assumed to be one that makes volumes")
		return false
	case name == "" && len(p.claims) > 0:
		p.note(queueCheck, Problem, "configure stage.queue.storage_class to one that an admin of the cluster names, or stage.queue.storage=ephemeral",
			"the queue's volumes are to be of the cluster's default StorageClass, and it has none, so that its pods would never start")
		return false
	}
	late := storagev1.VolumeBindingWaitForFirstConsumer // or at once: that is not known
	p.class = &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}, VolumeBindingMode: &late}
	return name == "" || p.makesVolumes(ctx)
}

// madeByHand looks for volumes of a class that nobody provisions, and reports
// whether there are as many as are claimed.
func (p *preflight) madeByHand(ctx context.Context) bool {
	list, err := p.cluster.Typed.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		p.noteUnreadable(queueCheck, err, "volumes of StorageClass %s are made by hand, and this account may not look whether %d are free", p.class.Name, len(p.claims))
		return false
	}
	size, free := resource.MustParse(cmp.Or(p.input.Settings.Queue.Size, render.DefaultQueueSize)), 0
	for _, volume := range list.Items {
		capacity := volume.Spec.Capacity[corev1.ResourceStorage]
		if volume.Spec.StorageClassName == p.class.Name && volume.Status.Phase == corev1.VolumeAvailable && capacity.Cmp(size) >= 0 {
			free++
		}
	}
	if free < len(p.claims) {
		p.note(queueCheck, Problem, "have an admin of the cluster make them; or configure stage.queue.storage_class to a class that makes volumes itself, a smaller stage.queue.size, or stage.queue.storage=ephemeral",
			"volumes of StorageClass %s are made by hand; the queue claims %d of %s, and %d are free, so that its pods would never start", p.class.Name, len(p.claims), size.String(), free)
		return false
	}
	return true
}

// addClaims adds the claims that a deploy makes, in a quota's words.
func (p *preflight) addClaims(add func(corev1.ResourceName, resource.Quantity, int)) {
	size, err := resource.ParseQuantity(cmp.Or(p.input.Settings.Queue.Size, render.DefaultQueueSize))
	if err != nil || len(p.claims) == 0 {
		return
	}
	one := *resource.NewQuantity(1, resource.DecimalSI)
	prefixes := []string{""}
	if name := cmp.Or(p.input.Settings.Queue.StorageClass, p.className()); name != "" {
		prefixes = append(prefixes, name+".storageclass.storage.k8s.io/")
	}
	for _, prefix := range prefixes {
		add(corev1.ResourceName(prefix+"persistentvolumeclaims"), one, len(p.claims))
		add(corev1.ResourceName(prefix+"requests.storage"), size, len(p.claims))
	}
	add("count/persistentvolumeclaims", one, len(p.claims))
}

func (p *preflight) className() string {
	if p.class == nil {
		return ""
	}
	return p.class.Name
}
