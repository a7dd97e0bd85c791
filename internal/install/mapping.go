package install

import (
	"regexp"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/settings"
	"github.com/constellation-serving/constellation/internal/install/transfer"
)

var notInTags = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// mapImages returns where each image of the plan goes, by the plan's digest. In
// the single layout all algorithms share one repository, as the original has
// it: a registry that makes no repository on a push needs two made by hand.
func mapImages(plan *bundle.Plan, stage settings.Stage) map[string]transfer.Mapping {
	images := map[string]transfer.Mapping{}
	add := func(image bundle.Image, repository, tag string) {
		if _, ok := images[image.Digest]; ok {
			return
		}
		tag = strings.TrimLeft(notInTags.ReplaceAllString(tag, "-"), ".-")
		images[image.Digest] = transfer.Mapping{
			Source:      image.Repository + "@" + image.Digest,
			Destination: repository + "@" + image.Digest,
			Tag:         repository + ":" + tag[:min(len(tag), 128)],
		}
	}
	version := func(image bundle.Image, ref string) {
		parts := strings.SplitN(ref, "/", 3)
		owner, name, hash := strings.ToLower(parts[0]), strings.ToLower(parts[1]), parts[2]
		if stage.Registry.Layout == "per-image" {
			add(image, registry.Repository(stage.ContainerRegistry, owner, name), hash)
			return
		}
		add(image, registry.Repository(stage.ContainerRegistry, "satellite-"+plan.Satellite.ID), owner+"-"+name+"-"+constellation.ShortHash(hash))
	}
	for _, a := range plan.Algorithms {
		version(a.Image, a.Algorithm)
	}
	for _, w := range plan.Weights() {
		version(w.Image, w.Artifact)
	}
	add(plan.System.Image, registry.Repository(stage.ContainerRegistry, "execution-engine"), plan.System.Version)
	return images
}

// destinations returns what pods run, by the plan's digest.
func destinations(images map[string]transfer.Mapping) map[string]string {
	refs := map[string]string{}
	for digest, m := range images {
		refs[digest] = m.Destination
	}
	return refs
}
