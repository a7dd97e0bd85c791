package checks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/transfer"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Pulls finds out whether pods will have the login that the registry wants, each
// way to give them one by itself.
func Pulls(ctx context.Context, cluster *cluster.Cluster, stage settings.Stage, host string, in render.Input) []preflight.Check {
	p := puller{stage: stage, host: host, image: in.Images[in.Plan.System.Image.Digest]}
	choice := stage.Registry.PullSecret
	note := func(state preflight.State, fix, format string, args ...any) []preflight.Check {
		return []preflight.Check{{Name: "pull secret", State: state, Message: fmt.Sprintf(format, args...), Fix: fix}}
	}
	name, existing := strings.CutPrefix(choice, "existing:")
	switch {
	case existing:
		return p.existingSecret(ctx, cluster, name, note)
	case choice == "none" && p.refusesPulls(ctx, registry.Login{}):
		return note(preflight.Warning, "run 'docker login "+host+"' and configure stage.registry.pull_secret=create, unless the nodes have a login of their own",
			"the registry %s wants a login, and with stage.registry.pull_secret=none pods have none: they can pull only where the nodes have one", host)
	case choice == "create" && in.Settings.PullConfig == nil:
		return note(preflight.Warning, "run 'docker login', or configure stage.registry.pull_secret=existing:NAME",
			"there is no docker login for %s, so pods will pull without one", host)
	}
	return nil
}

// puller pulls as pods will.
type puller struct {
	stage settings.Stage
	host  string // of the registry
	image string // that every launch has
}

// existingSecret looks at a Secret that somebody else makes.
func (p puller) existingSecret(ctx context.Context, in *cluster.Cluster, name string, note func(preflight.State, string, string, ...any) []preflight.Check) []preflight.Check {
	host := p.host
	command := health.CreatePullSecret(in.Namespace, name, host)
	otherwise := "', or run 'docker login " + host + "' and configure stage.registry.pull_secret=create"
	data, err := in.PullSecret(ctx, name)
	switch {
	case errors.Is(err, cluster.ErrNoSecret):
		if missing, err := in.NamespaceMissing(ctx); missing && err == nil {
			command = "kubectl create namespace " + in.Namespace + " && " + command
		}
		return note(preflight.Problem, "make it with '"+command+otherwise, "there is no Secret %s in namespace %s, which stage.registry.pull_secret names", name, in.Namespace)
	case errors.Is(err, cluster.ErrUnread):
		return note(preflight.Unknown, "", "this account may not read Secret %s; whether pods can pull with it is not known", name)
	case err != nil:
		return note(preflight.Problem, "name another, or make one with '"+command+otherwise, "Secret %s of namespace %s: %v", name, in.Namespace, err)
	}
	has, err := registry.ParseLogin("Secret "+name, data, host)
	anew := "make it anew with '" + command + otherwise
	switch {
	case err != nil:
		return note(preflight.Problem, anew, "Secret %s of namespace %s holds no docker configuration", name, in.Namespace)
	case !p.refusesPulls(ctx, has):
		return note(preflight.OK, "", "the registry takes what Secret %s has", name)
	case has.None():
		return note(preflight.Problem, anew, "Secret %s of namespace %s has no login for %s, and the registry wants one", name, in.Namespace, host)
	}
	return note(preflight.Problem, anew, "the registry %s refuses the login that Secret %s of namespace %s has for it", host, name, in.Namespace)
}

// refusesPulls reports whether the registry is known to refuse who pulls with a
// login. That it does not answer is told by the registry's own check.
func (p puller) refusesPulls(ctx context.Context, with registry.Login) bool {
	r, err := registry.Open(p.stage.RegistryConfig())
	if err != nil {
		return false
	}
	defer r.Close()
	r.UseLogin(with)
	err = r.Connect(ctx)
	if err == nil {
		err = r.Pullable(ctx, p.image)
	}
	return err != nil && r.Explain(err, "pull").Code == fault.CodeAuth
}

// Pushes finds out whether the registry answers and takes a push into every
// repository; it begins an upload and cancels it. The error is for a docker
// login that cannot be read.
func Pushes(ctx context.Context, r *registry.Registry, images map[string]transfer.Mapping) ([]preflight.Check, error) {
	var repositories []string
	for _, m := range images {
		repository, _, _ := strings.Cut(m.Destination, "@")
		repositories = append(repositories, repository)
	}
	slices.Sort(repositories)
	var checks []preflight.Check
	for _, repository := range slices.Compact(repositories) {
		err := r.Pushable(ctx, repository)
		if err == nil {
			checks = append(checks, preflight.Check{Name: "registry", State: preflight.OK, Message: "may push to " + repository})
			continue
		}
		e := r.Explain(err, "push to "+repository)
		if errors.As(err, new(registry.NoLogin)) {
			return checks, e
		}
		checks = append(checks, preflight.Check{Name: "registry", State: preflight.Problem, Message: e.Error(), Fix: r.Advice(e, repository)})
		if refused := new(registry.Refusal); e.Code == fault.CodeNetwork || errors.As(err, &refused) && refused.Status == http.StatusUnauthorized {
			break // the other repositories are behind the same address and login
		}
	}
	return checks, nil
}
