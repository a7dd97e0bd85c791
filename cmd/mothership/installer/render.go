package installer

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
)

func (v verbs) render() *cobra.Command {
	var o install.RenderOptions
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Write the manifests as files, and apply nothing",
		Long: `Write the manifests: into the launch's folder rendered/ as a deploy would apply
them, or as a kustomization or a Helm chart for a GitOps tool. Push the images
with 'push'. Secrets hold the launch's token and the registry's login: with
--no-secrets they are left out, to be made by other means.`,
		Example: `  ` + launchPath + ` render --offline
  ` + launchPath + ` render --kustomize ./gitops/satellite --no-secrets
  ` + launchPath + ` render --helm ./chart && helm template ./chart -n algorithms`,
		Args: command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.Kustomize != "" && o.Helm != "":
				return command.UsageError{Err: errors.New("render writes either --kustomize or --helm")}
			case o.NoSecrets && o.Kustomize == "" && o.Helm == "":
				return command.UsageError{Err: errors.New("--no-secrets goes with --kustomize or --helm")}
			}
			o.Progress = v.progress()
			r, err := install.Render(cmd.Context(), v.folder(), o)
			if err != nil {
				return err
			}
			if r.Secrets {
				fmt.Fprintln(v.std.Err, "these files hold secrets: keep them out of Git, or encrypt them")
			}
			return v.flags.print(v.std.Out, r, func(w io.Writer) { fmt.Fprintln(w, strings.Join(r.Files, "\n")) })
		}),
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.Offline, "offline", false, "for a current Kubernetes, without asking the cluster")
	flags.StringVar(&o.Kustomize, "kustomize", "", "write a kustomization into this `FOLDER`")
	flags.StringVar(&o.Helm, "helm", "", "write a Helm chart into this `FOLDER`")
	flags.BoolVar(&o.NoSecrets, "no-secrets", false, "leave Secrets out of a kustomization or chart")
	return cmd
}
