// Command build makes an algorithm's image of a Go program and pushes it, as
// a CI job would, with no Docker.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/deploy/examples/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand(os.Stdin).ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n", err)
		os.Exit(1)
	}
}

func newCommand(stdin io.Reader) *cobra.Command {
	var (
		src           image.Source
		target        image.Target
		ociDir        string
		passwordStdin bool
	)
	cmd := &cobra.Command{
		Use:   "build PACKAGE (--push HOST/OWNER/NAME:HASH | --oci DIR)",
		Short: "Make an image of a Go program or of Debian packages, with the labels of the folder's image.json, and push it or write it to a folder",
		Example: `  go run ./deploy/examples/build ./deploy/examples/hello \
    --push localhost:8080/neo/hello:$(git rev-parse HEAD) --insecure \
    --username neo --password-stdin < key.txt

  go run ./deploy/examples/build ./deploy/examples/chat \
    --label constellation.concurrency=4 --oci /tmp/chat

  go run ./deploy/examples/build ./deploy/examples/python --oci /tmp/python`,
		Args:          cobra.ExactArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			src.Package = args[0]
			if target.Reference == "" && ociDir == "" {
				return errors.New("say where the image goes: --push HOST/OWNER/NAME:HASH or --oci DIR")
			}
			if passwordStdin {
				password, err := io.ReadAll(stdin)
				if err != nil {
					return fmt.Errorf("read the password from stdin: %w", err)
				}
				target.Password = strings.TrimSpace(string(password))
			}
			if (target.Username != "") != passwordStdin {
				return errors.New("--username and --password-stdin go together")
			}
			return build(cmd.Context(), cmd.OutOrStdout(), src, target, ociDir)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&target.Reference, "push", "", "push to this reference and print it with its digest")
	flags.BoolVar(&target.Insecure, "insecure", false, "the registry speaks plain HTTP")
	flags.StringVar(&target.Username, "username", "", "account at the registry (default: the docker login)")
	flags.BoolVar(&passwordStdin, "password-stdin", false, "read the account's password or API key from stdin")
	flags.StringVar(&ociDir, "oci", "", "write an OCI layout to this folder and print the digest")
	flags.StringVar(&src.Platform, "platform", "linux/amd64", "OS/ARCH of the image")
	flags.StringToStringVar(&src.Labels, "label", nil, "KEY=VALUE label of the image over those of image.json; may be repeated")
	return cmd
}

func build(ctx context.Context, out io.Writer, src image.Source, target image.Target, ociDir string) error {
	img, err := compose(ctx, src)
	if err != nil {
		return err
	}
	if ociDir != "" {
		if err := image.WriteLayout(img, ociDir); err != nil {
			return err
		}
		digest, err := img.Digest()
		if err != nil {
			return fmt.Errorf("digest of %s: %w", src.Package, err)
		}
		fmt.Fprintln(out, digest)
	}
	if target.Reference != "" {
		pinned, err := image.Push(ctx, img, target)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, pinned)
	}
	return nil
}

// compose makes the image in the way that its folder asks for.
func compose(ctx context.Context, src image.Source) (v1.Image, error) {
	folder := os.DirFS(src.Package)
	described, err := image.Describe(folder)
	if err != nil {
		return nil, err
	}
	if len(described.Packages) > 0 {
		return image.FromDebian(ctx, folder, src.Labels)
	}
	return image.Build(ctx, src)
}
