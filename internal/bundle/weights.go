package bundle

import (
	"fmt"
	"math"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Weights are files that an algorithm reads at Path, beside its code, such as
// those of a model.
type Weights struct {
	Artifact string                    `json:"artifact"` // OWNER/NAME/HASH
	Path     string                    `json:"path"`
	Form     constellation.WeightsForm `json:"form"`
	Image    Image                     `json:"image"`
	// UnpackedSize is how many bytes the files have, and Files how many there are:
	// whoever unpacks them takes no more.
	UnpackedSize int64 `json:"unpacked_size"`
	Files        int   `json:"files"`
}

// Weights returns the weights of all algorithms, each artifact once.
func (p *Plan) Weights() []Weights {
	var list []Weights
	seen := map[string]bool{}
	for _, a := range p.Algorithms {
		for _, w := range a.Weights {
			if !seen[w.Image.Digest] {
				seen[w.Image.Digest] = true
				list = append(list, w)
			}
		}
	}
	return list
}

// checkWeights holds an algorithm's weights to their form.
func (a *Algorithm) checkWeights() error {
	var v constellation.Validation
	paths := make([]string, len(a.Weights))
	for i, w := range a.Weights {
		paths[i] = w.Path
		if err := w.check(); err != nil {
			return fmt.Errorf("the weights %q of %s: %w", w.Artifact, a.VanityURL, err)
		}
	}
	constellation.CheckWeightsPaths(&v, func(i int) string { return fmt.Sprintf("%s: weights[%d]", a.VanityURL, i) }, paths, a.Volumes)
	return v.Err()
}

func (w *Weights) check() error {
	if _, err := constellation.ParseAlgorithmRef(w.Artifact); err != nil {
		return err
	}
	switch {
	case w.Form != constellation.WeightsImage && w.Form != constellation.WeightsFiles:
		return fmt.Errorf("their form is image or files; not %q", w.Form)
	case w.UnpackedSize < 0 || w.UnpackedSize > math.MaxInt64/4 || w.Files < 0:
		return fmt.Errorf("they have %d files of %d bytes", w.Files, w.UnpackedSize)
	}
	return w.Image.check("their image")
}
