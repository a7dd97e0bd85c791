package install

import (
	"context"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/manifests"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/settle"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// RenderOptions say in which form, and where.
type RenderOptions struct {
	Offline   bool   // for a current Kubernetes, without asking the cluster
	Kustomize string // folder of a kustomization; "" is none
	Helm      string // folder of a chart; "" is none
	NoSecrets bool   // leave Secrets out of these folders
	Progress  *progress.Reporter
}

// Render writes the manifests of a launch: to its rendered folder as a deploy
// would apply them, or to a folder for a GitOps tool. It asks the cluster for
// its API versions, or with o.Offline takes those of a current one.
func Render(ctx context.Context, f store.Folder, o RenderOptions) (*manifests.Result, error) {
	how := opening{verb: "render", report: o.Progress, reads: o.Kustomize != "" || o.Helm != ""}
	if o.Offline {
		how.spare = []string{"stage.kubernetes.kubeconfig_path"}
	}
	s, err := open(ctx, f, how)
	if err != nil {
		return nil, err
	}
	defer s.close()
	in, err := s.renderInput(ctx, o.Offline)
	if err != nil {
		return nil, err
	}
	// A GitOps tool applies all at once: names that stay let Deployments roll.
	in.Stable = o.Kustomize != "" || o.Helm != ""
	objects, err := render.Launch(in)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "render the manifests")
	}
	if in.Stable && o.NoSecrets {
		objects = manifests.WithoutSecrets(objects)
	}
	switch {
	case o.Kustomize != "":
		return manifests.WriteKustomize(o.Kustomize, objects)
	case o.Helm != "":
		return manifests.WriteHelm(o.Helm, s.launch.Plan, objects)
	}
	return manifests.WriteRendered(f, objects)
}

// renderInput is the input for the configured cluster, or for a current one that
// is not asked.
func (s *session) renderInput(ctx context.Context, offline bool) (render.Input, error) {
	if offline {
		in, err := s.input(render.LatestAPIs())
		if err == nil && in.Settings.Queue.On && in.Settings.Queue.Storage == "" {
			s.report.Line("! stage.queue.storage=auto asks the cluster, which is not asked here: the queue is written with ephemeral storage; configure stage.queue.storage=persistent for volumes")
		}
		settle.Names(ctx, &in)
		return settle.Whole(in, err)
	}
	cluster, err := s.connect(ctx)
	if err != nil {
		return render.Input{}, err
	}
	return settle.Whole(s.inputFor(ctx, cluster))
}
