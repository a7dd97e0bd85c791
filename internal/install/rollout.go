package install

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube"
)

// done is what a run did so far, for whoever interrupts it.
type done struct {
	mu      sync.Mutex
	phase   string
	pushed  int
	changed map[kube.Action]int
	serving int // version that was installed when the run began
}

func (d *done) enter(phase string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.phase = phase
}

func (d *done) change(c kube.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed == nil {
		d.changed = map[kube.Action]int{}
	}
	d.changed[c.Action]++
}

// String says it in one sentence.
func (d *done) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var parts []string
	if d.pushed > 0 {
		parts = append(parts, fmt.Sprintf("%d images were pushed", d.pushed))
	}
	for _, action := range []kube.Action{kube.Created, kube.Changed, kube.Deleted} {
		if n := d.changed[action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d objects were %s", n, action))
		}
	}
	if len(d.changed) == 0 {
		parts = append(parts, "nothing was changed on the cluster")
	}
	return strings.Join(parts, ", ")
}

// phase tells the operator what begins, and remembers it.
func (s *session) phase(name string) {
	if s.waits != nil {
		s.waits.end()
	}
	s.done.enter(name)
	s.progress.Phase(name)
}

// stopped says after Ctrl-C what was done and how to go on.
func (s *session) stopped(ctx context.Context, err error, verb string) error {
	if !errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	text := fmt.Sprintf("the %s was interrupted", verb)
	if s.done.phase != "" {
		text += " during '" + s.done.phase + "'"
	}
	text += ": " + s.done.String()
	if s.done.serving > 0 {
		text += fmt.Sprintf("; version %d was serving when it began, and what serves is complete", s.done.serving)
	}
	return &Error{Code: CodeFailed, Message: text, Next: "→ run the same command again: it goes on where it stopped"}
}

// rollout is a rollout of this launch that the operator can follow.
func (s *session) rollout(objects []*unstructured.Unstructured, wait bool) kube.Rollout {
	return kube.Rollout{Plan: s.launch.plan, Objects: objects, Wait: wait, Report: s.progress.Line, Phase: s.phase,
		Changed: func(c kube.Change) {
			s.done.change(c)
			s.progress.Line("%s %s", c.Action, c.Object)
		}, Looked: s.view().look}
}

// view is the session's one view of waits.
func (s *session) view() *waitView {
	if s.waits == nil {
		s.waits = &waitView{progress: s.progress}
	}
	return s.waits
}

// rollOut applies within the time that the operator gives it.
func (s *session) rollOut(ctx context.Context, cluster *kube.Cluster, r kube.Rollout, timeout time.Duration) ([]kube.Change, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if inventory, err := cluster.Inventory(ctx); err == nil && inventory != nil {
		s.done.serving = inventory.Installed
	}
	changes, err := cluster.Rollout(limited, r)
	s.view().end()
	var late *kube.NotReadyError
	var broken *kube.BrokenError
	var overtaken *kube.OvertakenError
	switch {
	case err == nil || ctx.Err() != nil || errors.Is(err, kube.ErrPending):
		return changes, err
	case errors.As(err, &overtaken):
		return changes, &Error{Code: CodeFailed, Message: overtaken.Error(), Next: "→ when it is done, 'diff' says what is other than this folder has it"}
	case errors.As(err, &broken):
		return changes, wrap(err, CodeFailed, "the satellite does not come up")
	case errors.As(err, &late), errors.Is(limited.Err(), context.DeadlineExceeded):
		return changes, &Error{Code: CodeTimeout, Message: fmt.Sprintf("not ready after %s", timeout), Err: err}
	}
	return changes, refusedByCluster(err)
}

// refusedByCluster says what the API server would not do. What the preflight
// found allowed may be taken away while a deploy runs.
func refusedByCluster(err error) error {
	switch {
	case errors.Is(err, kube.ErrUnreachable):
		return wrap(err, CodeNetwork, "the cluster is away")
	case apierrors.IsUnauthorized(err):
		return wrap(err, CodeAuth, "the cluster refuses the kubeconfig's credentials")
	case apierrors.IsForbidden(err):
		return &Error{Code: CodeFailed, Message: "the cluster forbids it", Err: err,
			Next: "→ 'doctor' lists every right that is missing, and the Role that gives them"}
	}
	return wrap(err, CodeFailed, "the cluster refuses")
}
