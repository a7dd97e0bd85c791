package install

import (
	"regexp"
	"strings"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// Mapping is one image's way into the operator's registry.
type Mapping struct {
	Source      string `json:"source"`      // repository@digest in the mothership's registry
	Destination string `json:"destination"` // repository@digest that pods run
	Tag         string `json:"tag"`         // repository:tag that it is pushed under
}

var notInTags = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// mapImages says where each image of the plan goes, by the plan's digest. In
// the single layout all algorithms share one repository, as the original has
// it: a registry that makes no repository on a push needs two made by hand.
func mapImages(plan *bundle.Plan, stage Stage) map[string]Mapping {
	images := map[string]Mapping{}
	add := func(image bundle.Image, repository, tag string) {
		if _, ok := images[image.Digest]; ok {
			return
		}
		tag = strings.TrimLeft(notInTags.ReplaceAllString(tag, "-"), ".-")
		images[image.Digest] = Mapping{
			Source:      image.Repository + "@" + image.Digest,
			Destination: repository + "@" + image.Digest,
			Tag:         repository + ":" + tag[:min(len(tag), 128)],
		}
	}
	for _, a := range plan.Algorithms {
		parts := strings.SplitN(a.Algorithm, "/", 3)
		owner, name, hash := strings.ToLower(parts[0]), strings.ToLower(parts[1]), parts[2]
		if stage.Registry.Layout == "per-image" {
			add(a.Image, below(stage, owner, name), hash)
			continue
		}
		add(a.Image, below(stage, "satellite-"+plan.Satellite.ID), owner+"-"+name+"-"+hash[:min(12, len(hash))])
	}
	add(plan.System.Image, below(stage, "execution-engine"), plan.System.Version)
	return images
}

// destinations gives what pods run, by the plan's digest.
func destinations(images map[string]Mapping) map[string]string {
	refs := map[string]string{}
	for digest, m := range images {
		refs[digest] = m.Destination
	}
	return refs
}
