package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// changeover is a rollout from the version that serves to the next one. What
// callers notice comes last: first what is new comes up beside what serves,
// then the engines, and then the routes and keys that the engines read.
type changeover struct {
	*Cluster
	Rollout
	changes   []Change
	inventory *Inventory
	gone      bool // something has to be pruned afterwards
}

// The steps of a changeover, in order.
const (
	stepBeside = iota // what the version that serves does not use, or does not mind
	stepEngine        // the engines' own pods
	stepSwitch        // what makes the new version serve
	steps
)

// stepOf says when an object is applied.
func (s *changeover) stepOf(object *unstructured.Unstructured, live *unstructured.Unstructured) int {
	kind := object.GetKind()
	switch {
	case kind == "Ingress":
		return stepSwitch
	case object.GetLabels()["app.kubernetes.io/component"] != "engine":
		if live != nil && replicas(live) > replicas(object) {
			return stepSwitch // the version that serves keeps all its replicas
		}
		return stepBeside
	case kind == "ConfigMap" || kind == "Secret":
		return stepSwitch
	case kind == "ServiceAccount" || kind == "Role" || kind == "RoleBinding":
		return stepBeside
	}
	return stepEngine
}

func replicas(object *unstructured.Unstructured) int64 {
	n, _, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
	return n
}

// part is a step's objects.
type part struct {
	objects []*unstructured.Unstructured
	changes []Change
}

func (s *changeover) parts() (parts [steps]part) {
	for i, object := range s.Objects {
		p := &parts[s.stepOf(object, s.changes[i].live)]
		p.objects, p.changes = append(p.objects, object), append(p.changes, s.changes[i])
	}
	return parts
}

func (s *changeover) write(ctx context.Context, p part) error {
	if err := s.undisturbed(ctx); err != nil {
		return err
	}
	return s.Cluster.write(ctx, s.Rollout, p.objects, p.changes)
}

// run applies everything; when it returns nil, the version before may go.
func (s *changeover) run(ctx context.Context) error {
	parts := s.parts()
	if s.inventory.Installed == 0 {
		return s.first(ctx, parts)
	}
	if err := s.beside(ctx, parts); err != nil {
		return err
	}
	next := parts[stepSwitch]
	if len(Touched(next.changes)) > 0 {
		s.phase("switch")
	}
	if err := s.write(ctx, next); err != nil {
		return err
	}
	err := s.adopt(ctx)
	if refused := (*refusedError)(nil); errors.As(err, &refused) {
		return s.restore(ctx, next, err)
	}
	return err
}

// undisturbed fails when another rollout has begun.
func (s *changeover) undisturbed(ctx context.Context) error {
	if s.inventory.Run == "" {
		return nil
	}
	_, err := s.mine(ctx, s.inventory.Run)
	return err
}

// first is a rollout with nothing to keep serving: all comes up at once, and
// the way in from outside opens when all is ready.
func (s *changeover) first(ctx context.Context, parts [steps]part) error {
	all, way := part{}, part{}
	for _, p := range parts {
		for i, object := range p.objects {
			to := &all
			if object.GetKind() == "Ingress" && s.Wait {
				to = &way
			}
			to.objects, to.changes = append(to.objects, object), append(to.changes, p.changes[i])
		}
	}
	if err := s.write(ctx, all); err != nil {
		return err
	}
	if s.Wait {
		s.phase("wait")
		if err := s.wait(ctx, s.Rollout, running(all.objects)); err != nil {
			return err
		}
	}
	if err := s.adopt(ctx); err != nil {
		return err
	}
	return s.write(ctx, way)
}

// beside brings up the new algorithms and then the engines, which go on with
// the routes that they have.
func (s *changeover) beside(ctx context.Context, parts [steps]part) error {
	for _, step := range []int{stepBeside, stepEngine} {
		p := parts[step]
		if step == stepEngine {
			if err := s.prepare(ctx, parts[stepSwitch]); err != nil {
				return err
			}
		}
		if err := s.write(ctx, p); err != nil {
			return s.keepsServing(err)
		}
		if !s.Wait && !s.switches(parts) {
			continue
		}
		if err := s.ready(ctx, running(p.objects)); err != nil {
			return err
		}
	}
	return nil
}

// switches says whether callers will notice this rollout.
func (s *changeover) switches(parts [steps]part) bool {
	return s.gone || len(Touched(parts[stepSwitch].changes)) > 0 || s.inventory.Config != configOf(s.Objects).String()
}

// ready waits until what was applied is ready; a rollout that does not wait
// looks once.
func (s *changeover) ready(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if s.Wait {
		s.phase("wait")
		if err := s.wait(ctx, s.Rollout, names); err != nil {
			return s.keepsServing(err)
		}
		return nil
	}
	health, err := s.Health(ctx, s.Plan.Launch.ID, names)
	if err == nil && len(notReady(health)) > 0 {
		return ErrPending
	}
	return err
}

func (s *changeover) keepsServing(err error) error {
	return fmt.Errorf("version %d keeps serving: %w", s.inventory.Installed, err)
}

// prepare gives the engines' configuration the files that a newer engine
// mounts, and leaves those that there are as they are.
func (s *changeover) prepare(ctx context.Context, p part) error {
	for i, object := range p.objects {
		live := p.changes[i].live
		if live == nil || object.GetKind() == "Ingress" {
			continue
		}
		held, more := heldBack(live, object)
		if !more {
			continue
		}
		if _, err := s.apply(ctx, held, s.options()); err != nil {
			return s.keepsServing(err)
		}
	}
	return nil
}

// heldBack is the wanted object with the data of the live one, and what that
// one does not have.
func heldBack(live, wanted *unstructured.Unstructured) (held *unstructured.Unstructured, more bool) {
	data, _, _ := unstructured.NestedMap(wanted.Object, "data")
	old, _, _ := unstructured.NestedMap(live.Object, "data")
	for key := range data {
		_, there := old[key]
		more = more || !there
	}
	maps.Copy(data, old)
	held = wanted.DeepCopy()
	held.Object["data"] = data
	annotations := held.GetAnnotations()
	delete(annotations, annotationDigest)
	held.SetAnnotations(annotations)
	return held, more
}

// adopt waits until every engine uses the new routes and keys, which the
// inventory then remembers.
func (s *changeover) adopt(ctx context.Context) error {
	want := configOf(s.Objects).String()
	if s.inventory.Config == want {
		return nil
	}
	if !s.Wait {
		s.ask(ctx, s.Rollout)
		if s.gone {
			return ErrPending // the engines may still use what would be pruned
		}
		return nil
	}
	s.phase("switch")
	sure, err := s.Cluster.adopt(ctx, s.Rollout)
	s.inventory.Config = ""
	if sure {
		s.inventory.Config = want
	}
	return err
}

// restore puts the routes and keys back that an engine refuses to exchange: it
// could not start again with the new ones.
func (s *changeover) restore(ctx context.Context, p part, cause error) error {
	for i, object := range p.objects {
		if p.changes[i].live == nil || p.changes[i].Action == Unchanged || object.GetKind() == "Ingress" || slices.Contains(podKinds, object.GetKind()) {
			continue
		}
		held, _ := heldBack(p.changes[i].live, object)
		if _, err := s.apply(ctx, held, s.options()); err != nil {
			return errors.Join(cause, fmt.Errorf("put the routes of version %d back: %w", s.inventory.Installed, err))
		}
	}
	return s.keepsServing(cause)
}
