package rollout

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

const (
	// probeEvery is how long an engine has for an answer. The kubelet may see
	// the probe before it sees the routes; then the engine is probed again.
	probeEvery = 4 * time.Second
	// reloadPoll is how often the engines' answers are read.
	reloadPoll = 500 * time.Millisecond
	// emptyProbes is how often an engine is probed that knows no replica of an
	// algorithm yet: its first call would fail. Later something else is amiss,
	// which is no reason to stop the cutover.
	emptyProbes = 4
	// unreadableTimeout is how long a deploy goes on waiting when it cannot read
	// the engines' answers: a kubelet that was notified needs a second or two.
	unreadableTimeout = 15 * time.Second
	// unnotifiedTimeout is the same when an engine's pod could not be notified
	// either: a kubelet looks by itself once a minute, and its cache may be as old.
	unnotifiedTimeout = 2 * time.Minute
)

// engineConfig is what the engines are to use.
type engineConfig struct{ routes, keys string }

// configOf returns the digests of the routes and keys among rendered objects.
func configOf(objects []*unstructured.Unstructured) engineConfig {
	var c engineConfig
	for _, o := range objects {
		if o.GetName() != render.EngineName {
			continue
		}
		switch o.GetKind() {
		case "ConfigMap":
			text, _, _ := unstructured.NestedString(o.Object, "data", config.RoutesFile)
			c.routes = config.Digest([]byte(text))
		case "Secret":
			text, _, _ := unstructured.NestedString(o.Object, "data", config.KeysFile)
			if keys, err := base64.StdEncoding.DecodeString(text); err == nil {
				c.keys = config.Digest(keys)
			}
		}
	}
	return c
}

func (c engineConfig) String() string { return config.Digest([]byte(c.routes + c.keys)) }

// reloadProbe asks every running engine to use new routes and keys, and reads
// when it does. An engine's pod gets an annotation: an update of a pod makes
// its kubelet refresh what is mounted in it at once, where it would otherwise
// take a minute or two, and the engine acknowledges a changed annotation with a
// line in its log. So nothing restarts, and the installer need not reach pods.
type reloadProbe struct {
	cluster  *cluster.Cluster
	selector string
	want     engineConfig
	id       string // that the annotations of this probe begin with
	since    time.Time
	engines  map[types.UID]*engineState
}

// engineState is what is known of one engine's pod.
type engineState struct {
	pod      string
	probes   int
	last     time.Time // of the probes
	using    bool      // it uses the new configuration
	notified bool      // the annotation was written
	answered bool      // whatever the answer was
	problem  error     // why it cannot be notified or read
	refused  string    // why the engine does not use what it is given
	unrouted int       // algorithms of which it knows no replica yet
}

func newReloadProbe(c *cluster.Cluster, launchID string, objects []*unstructured.Unstructured) *reloadProbe {
	now := time.Now()
	want := configOf(objects)
	return &reloadProbe{
		cluster: c, want: want, since: now, engines: map[types.UID]*engineState{},
		id: want.String()[:12] + "." + strconv.FormatInt(now.UnixNano(), 36),
		selector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: map[string]string{
			"app.kubernetes.io/name": render.EngineName, "app.kubernetes.io/instance": launchID,
		}}),
	}
}

// awaitReload probes until every running engine uses the new routes and keys;
// sure is false when that could not be found out.
func awaitReload(ctx context.Context, r Rollout) (sure bool, err error) {
	p := newReloadProbe(r.Cluster, r.Plan.Launch.ID, r.Objects)
	progress := health.NewProgress(r.Observer.Report)
	ticker := time.NewTicker(reloadPoll)
	defer ticker.Stop()
	for {
		err := p.round(ctx)
		waiting := p.waiting()
		switch {
		case err != nil && ctx.Err() == nil:
			progress.Unreachable(err)
		case err == nil && len(waiting) == 0:
			r.Observer.Report("every engine uses the new routes and keys (%d of %d)", len(p.engines), len(p.engines))
			return true, nil
		case err == nil:
			if refused := refusal(waiting); refused != nil {
				return false, refused
			}
			if why := p.undecidable(waiting); why != "" {
				r.Observer.Report("! %s; they take the new routes and keys within two minutes", why)
				return false, nil
			}
			progress.Observe([]health.Deployment{p.health(waiting)})
		}
		select {
		case <-ctx.Done():
			return false, &health.NotReadyError{Waiting: []health.Deployment{p.health(waiting)}, Cause: ctx.Err()}
		case <-ticker.C:
		}
	}
}

// probeOnce notifies the engines once and reads no answer.
func probeOnce(ctx context.Context, c *cluster.Cluster, launchID string, objects []*unstructured.Unstructured) {
	_ = newReloadProbe(c, launchID, objects).notify(ctx) // they find out by themselves, later
}

// round looks for new engines, probes those that are due and reads the answers.
func (p *reloadProbe) round(ctx context.Context) error {
	if err := p.notify(ctx); err != nil {
		return err
	}
	for _, e := range p.engines {
		if !e.using && e.notified {
			p.readLog(ctx, e)
		}
	}
	return nil
}

func (p *reloadProbe) notify(ctx context.Context) error {
	pods, err := p.cluster.Typed.CoreV1().Pods(p.cluster.Namespace).List(ctx, metav1.ListOptions{LabelSelector: p.selector})
	if err != nil {
		return fmt.Errorf("list the engine's pods: %w", err)
	}
	running := map[types.UID]*engineState{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning {
			continue // ends, or starts with the new files
		}
		e := p.engines[pod.UID]
		if e == nil {
			e = &engineState{pod: pod.Name}
		}
		running[pod.UID] = e
		if !e.using && time.Since(e.last) >= probeEvery {
			p.annotate(ctx, e)
		}
	}
	p.engines = running
	return nil
}

func (p *reloadProbe) annotate(ctx context.Context, e *engineState) {
	e.probes++
	e.last = time.Now()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		config.ProbeAnnotation: p.id + "." + strconv.Itoa(e.probes),
	}}})
	if err == nil {
		_, err = p.cluster.Typed.CoreV1().Pods(p.cluster.Namespace).Patch(ctx, e.pod, types.MergePatchType, patch,
			metav1.PatchOptions{FieldManager: render.FieldManager})
	}
	switch {
	case err == nil:
		e.notified = true
	case !apierrors.IsNotFound(err) && ctx.Err() == nil:
		e.problem = fmt.Errorf("pod %s cannot be told: %w", e.pod, err)
	}
}

// readLog reads an engine's answers to this probe.
func (p *reloadProbe) readLog(ctx context.Context, e *engineState) {
	seconds := int64(time.Since(p.since)/time.Second) + 2 // by the node's clock
	err := p.cluster.EachLogLine(ctx, e.pod, &corev1.PodLogOptions{Container: "engine", SinceSeconds: &seconds}, func(line string) error {
		p.onLine(e, line)
		return nil
	})
	switch {
	case err == nil:
		e.problem = nil
	case !apierrors.IsNotFound(err) && ctx.Err() == nil:
		e.problem = fmt.Errorf("the log of pod %s cannot be read: %w", e.pod, err)
	}
}

// onLine takes a line of an engine's log, which may answer one of the probes.
func (p *reloadProbe) onLine(e *engineState, line string) {
	var answer config.Acknowledgement
	if strings.Contains(line, config.AcknowledgementMessage) && json.Unmarshal([]byte(line), &answer) == nil && strings.HasPrefix(answer.Probe, p.id) {
		e.answered, e.refused, e.unrouted = true, answer.Refused, answer.Empty
		e.using = engineConfig{answer.Routes, answer.Keys} == p.want && (e.unrouted == 0 || e.probes > emptyProbes)
	}
}

func (p *reloadProbe) waiting() []*engineState {
	var list []*engineState
	for _, e := range p.engines {
		if !e.using {
			list = append(list, e)
		}
	}
	return list
}

// undecidable returns why waiting on has no use, "" while it has: what the
// engines that are left use cannot be found out, and they had the time to take
// what is new.
func (p *reloadProbe) undecidable(waiting []*engineState) string {
	for _, e := range waiting {
		limit := unnotifiedTimeout
		if e.notified && e.problem != nil {
			limit = unreadableTimeout
		}
		if e.answered || time.Since(p.since) < limit {
			return ""
		}
	}
	if problem := waiting[0].problem; problem != nil {
		return "whether the engines use the new routes cannot be seen: " + problem.Error()
	}
	return "pod " + waiting[0].pod + " does not say which routes it uses"
}

// refusedError is an engine's refusal to use what it is given.
type refusedError struct{ pod, reason string }

func (e *refusedError) Error() string {
	return "pod " + e.pod + " refuses the new routes or keys: " + e.reason
}

// refusal returns that of the first engine that refuses twice: it may have
// looked while the files were being written.
func refusal(waiting []*engineState) error {
	for _, e := range waiting {
		if e.refused != "" && e.probes > 1 {
			return &refusedError{e.pod, e.refused}
		}
	}
	return nil
}

func (p *reloadProbe) health(waiting []*engineState) health.Deployment {
	d := health.Deployment{Name: render.EngineName, Desired: int64(len(p.engines)), Running: int64(len(p.engines) - len(waiting)), State: "with the new routes and keys"}
	for _, e := range waiting {
		if e.unrouted > 0 {
			d.Cause, d.Reason = "empty", fmt.Sprintf("pod %s knows no replica yet of %d algorithms", e.pod, e.unrouted)
		}
		if e.refused != "" {
			d.Cause, d.Reason = "refused", "pod "+e.pod+" refuses the new configuration: "+e.refused
		}
	}
	return d
}
