package systemimage

import (
	"fmt"
	"regexp"
	"runtime"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Platform returns the one that images are for.
func Platform() string { return "linux/" + runtime.GOARCH }

// Config returns an image's configuration. It has no entrypoint: a pod names the
// whole command, and a container started by hand may be the mothership or
// algo-install.
func Config(layers []Layer) v1.Image {
	image := v1.Image{
		Created:  &epoch,
		Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config: v1.ImageConfig{
			User:       fmt.Sprintf("%d:%d", nonroot, nonroot),
			Env:        []string{"PATH=/usr/bin", "HOME=/home/algo", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
			Cmd:        []string{"mothership", "help"},
			WorkingDir: "/home/algo",
			Labels:     map[string]string{"org.opencontainers.image.title": "Constellation system image", "org.opencontainers.image.licenses": "Apache-2.0"},
		},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{}},
	}
	for _, l := range layers {
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, l.DiffID)
		image.History = append(image.History, v1.History{Created: &epoch, CreatedBy: "mothership serve"})
	}
	return image
}

// Manifest returns the image's manifest.
func Manifest(config v1.Descriptor, layers []Layer) v1.Manifest {
	manifest := v1.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest, Config: config}
	for _, l := range layers {
		manifest.Layers = append(manifest.Layers, l.Descriptor)
	}
	return manifest
}

var (
	notInTag = regexp.MustCompile(`[^A-Za-z0-9_.-]`)
	aTag     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
)

// Tag returns a program's version as a tag, which has no '+'.
func Tag(version string) string {
	tag := notInTag.ReplaceAllString(version, "-")
	if !aTag.MatchString(tag) {
		return "unversioned"
	}
	return tag
}
