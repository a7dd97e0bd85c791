package kube

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

const (
	// askEvery is how long an engine has for an answer. The kubelet may hear
	// of the question before it hears of the routes; then it is asked again.
	askEvery = 4 * time.Second
	// blindFor is how long a deploy goes on waiting when it cannot read the
	// engines' answers: a kubelet that was told needs a second or two.
	blindFor = 15 * time.Second
	// untoldFor is the same when an engine's pod could not be told either: a
	// kubelet looks by itself once a minute, and its cache may be as old.
	untoldFor = 2 * time.Minute
)

// engineConfig is what the engines are to use.
type engineConfig struct{ routes, keys string }

// configOf finds the digests of the routes and keys among rendered objects.
func configOf(objects []*unstructured.Unstructured) engineConfig {
	var c engineConfig
	for _, o := range objects {
		if o.GetName() != EngineName {
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

// adoption asks every running engine to take new routes and keys, and hears
// when it did. An engine's pod gets an annotation: an update of a pod makes
// its kubelet refresh what is mounted in it at once, where it would otherwise
// take a minute or two, and the engine answers a changed annotation with a
// line in its log. So nothing restarts, and the installer need not reach pods.
type adoption struct {
	cluster  *Cluster
	selector string
	want     engineConfig
	name     string // of this adoption, in the questions
	since    time.Time
	engines  map[types.UID]*engineAsked
}

// engineAsked is what is known of one engine's pod.
type engineAsked struct {
	pod       string
	questions int
	last      time.Time
	using     bool
	told      bool   // the annotation was written
	answered  bool   // whatever the answer was
	problem   error  // why it cannot be told or heard
	refused   string // why the engine does not take what it is told
}

func (c *Cluster) newAdoption(r Rollout) *adoption {
	now := time.Now()
	want := configOf(r.Objects)
	return &adoption{
		cluster: c, want: want, since: now, engines: map[types.UID]*engineAsked{},
		name: want.String()[:12] + "." + strconv.FormatInt(now.UnixNano(), 36),
		selector: metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: map[string]string{
			"app.kubernetes.io/name": EngineName, "app.kubernetes.io/instance": r.Plan.Launch.ID,
		}}),
	}
}

// adopt asks until every running engine uses the new routes and keys; sure is
// false when that could not be found out.
func (c *Cluster) adopt(ctx context.Context, r Rollout) (sure bool, err error) {
	a := c.newAdoption(r)
	tell := narrator{report: r.Report}
	ticker := time.NewTicker(pollInterval / 2)
	defer ticker.Stop()
	for {
		err := a.round(ctx)
		waiting := a.waiting()
		switch {
		case err != nil && ctx.Err() == nil:
			tell.trouble(err)
		case err == nil && len(waiting) == 0:
			r.Report("every engine uses the new routes and keys (%d of %d)", len(a.engines), len(a.engines))
			return true, nil
		case err == nil:
			if refused := a.refused(waiting); refused != nil {
				return false, refused
			}
			if blind := a.blind(waiting); blind != "" {
				r.Report("! %s; they take the new routes and keys within two minutes", blind)
				return false, nil
			}
			tell.tell([]Health{a.health(waiting)})
		}
		select {
		case <-ctx.Done():
			return false, &NotReadyError{Waiting: []Health{a.health(waiting)}, Cause: ctx.Err()}
		case <-ticker.C:
		}
	}
}

// ask tells the engines once and does not listen.
func (c *Cluster) ask(ctx context.Context, r Rollout) {
	_ = c.newAdoption(r).tell(ctx) // they find out by themselves, later
}

// round looks for new engines, asks those that are due and reads the answers.
func (a *adoption) round(ctx context.Context) error {
	if err := a.tell(ctx); err != nil {
		return err
	}
	for _, e := range a.engines {
		if !e.using && e.told {
			a.listen(ctx, e)
		}
	}
	return nil
}

func (a *adoption) tell(ctx context.Context) error {
	pods, err := a.cluster.typed.CoreV1().Pods(a.cluster.Namespace).List(ctx, metav1.ListOptions{LabelSelector: a.selector})
	if err != nil {
		return fmt.Errorf("list the engine's pods: %w", err)
	}
	running := map[types.UID]*engineAsked{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning {
			continue // ends, or starts with the new files
		}
		e := a.engines[pod.UID]
		if e == nil {
			e = &engineAsked{pod: pod.Name}
		}
		running[pod.UID] = e
		if !e.using && time.Since(e.last) >= askEvery {
			a.question(ctx, e)
		}
	}
	a.engines = running
	return nil
}

func (a *adoption) question(ctx context.Context, e *engineAsked) {
	e.questions++
	e.last = time.Now()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		config.AskedAnnotation: a.name + "." + strconv.Itoa(e.questions),
	}}})
	if err == nil {
		_, err = a.cluster.typed.CoreV1().Pods(a.cluster.Namespace).Patch(ctx, e.pod, types.MergePatchType, patch,
			metav1.PatchOptions{FieldManager: FieldManager})
	}
	switch {
	case err == nil:
		e.told = true
	case !apierrors.IsNotFound(err) && ctx.Err() == nil:
		e.problem = fmt.Errorf("pod %s cannot be told: %w", e.pod, err)
	}
}

// listen reads an engine's answers to this adoption's questions.
func (a *adoption) listen(ctx context.Context, e *engineAsked) {
	seconds := int64(time.Since(a.since)/time.Second) + 2 // by the node's clock
	log, err := a.cluster.typed.CoreV1().Pods(a.cluster.Namespace).GetLogs(e.pod, &corev1.PodLogOptions{
		Container: "engine", SinceSeconds: &seconds,
	}).Stream(ctx)
	if err == nil {
		err = errors.Join(a.read(log, e), log.Close())
	}
	switch {
	case err == nil:
		e.problem = nil
	case !apierrors.IsNotFound(err) && ctx.Err() == nil:
		e.problem = fmt.Errorf("the log of pod %s cannot be read: %w", e.pod, err)
	}
}

func (a *adoption) read(log io.Reader, e *engineAsked) error {
	lines := bufio.NewReader(log)
	for {
		line, err := lines.ReadString('\n')
		var answer config.InUse
		if strings.Contains(line, config.InUseMessage) && json.Unmarshal([]byte(line), &answer) == nil && strings.HasPrefix(answer.Asked, a.name) {
			e.answered, e.refused = true, answer.Refused
			e.using = engineConfig{answer.Routes, answer.Keys} == a.want
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (a *adoption) waiting() []*engineAsked {
	var list []*engineAsked
	for _, e := range a.engines {
		if !e.using {
			list = append(list, e)
		}
	}
	return list
}

// blind says why waiting on has no use: what the engines that are left use
// cannot be found out, and they had the time to take what is new.
func (a *adoption) blind(waiting []*engineAsked) string {
	for _, e := range waiting {
		limit := untoldFor
		if e.told && e.problem != nil {
			limit = blindFor
		}
		if e.answered || time.Since(a.since) < limit {
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

// refused gives the first engine that refuses twice: it may have looked while
// the files were being written.
func (a *adoption) refused(waiting []*engineAsked) error {
	for _, e := range waiting {
		if e.refused != "" && e.questions > 1 {
			return &refusedError{e.pod, e.refused}
		}
	}
	return nil
}

func (a *adoption) health(waiting []*engineAsked) Health {
	h := Health{Name: EngineName, Desired: int64(len(a.engines)), Running: int64(len(a.engines) - len(waiting)), state: "with the new routes and keys"}
	for _, e := range waiting {
		if e.refused != "" {
			h.kind, h.Reason = "refused", "pod "+e.pod+" refuses the new configuration: "+e.refused
		}
	}
	return h
}
