package control

import (
	"context"
	"fmt"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// weightsMounts are the weights of all algorithms of a version, one after the
// other.
type weightsMounts struct {
	refs   []constellation.AlgorithmRef // zero where it cannot be read
	fields []string
	paths  []string
	counts []int // by algorithm
}

func (m *weightsMounts) field(i int) string { return m.fields[i] + ".artifact" }

// checkWeights reads what algorithms say of their weights, and adds to v what is
// wrong with it.
func checkWeights(v *constellation.Validation, specs []AlgorithmSpec) *weightsMounts {
	m := &weightsMounts{counts: make([]int, len(specs))}
	for i, spec := range specs {
		field := func(j int) string { return fmt.Sprintf("algorithms[%d].weights[%d]", i, j) }
		paths := make([]string, len(spec.Weights))
		for j, w := range spec.Weights {
			paths[j] = w.Path
		}
		constellation.CheckWeightsPaths(v, field, paths, spec.Settings.Volumes)
		if len(paths) > constellation.MaxWeights {
			continue
		}
		m.counts[i] = len(paths)
		for j, w := range spec.Weights {
			m.fields, m.paths = append(m.fields, field(j)), append(m.paths, w.Path)
			m.refs = append(m.refs, checkRef(v, field(j)+".artifact", w.Artifact))
		}
	}
	return m
}

// fill gives algorithms their weights as they are known, and returns the ids of
// these. All were found.
func (m *weightsMounts) fill(algorithms []constellation.SatelliteAlgorithm, found []*constellation.AlgorithmVersion) []string {
	ids, next := make([]string, len(found)), 0
	for i, count := range m.counts {
		for range count {
			ids[next] = found[next].ID
			algorithms[i].Weights = append(algorithms[i].Weights, constellation.WeightsMount{Artifact: found[next].Ref(), Path: m.paths[next]})
			next++
		}
	}
	return ids
}

// keepWeights gives those who leave their weights out the ones that the version
// before has at their vanity URL.
func keepWeights(specs []AlgorithmSpec, before []constellation.SatelliteAlgorithm) []AlgorithmSpec {
	had := make(map[string][]constellation.WeightsMount, len(before))
	for _, a := range before {
		had[a.VanityURL] = a.Weights
	}
	kept := append([]AlgorithmSpec{}, specs...)
	for i := range kept {
		if kept[i].Weights == nil {
			kept[i].Weights = SpecWeights(had[kept[i].VanityURL])
		}
	}
	return kept
}

// SpecWeights returns weights as an editor writes them, never nil.
func SpecWeights(mounts []constellation.WeightsMount) []WeightsSpec {
	specs := make([]WeightsSpec, len(mounts))
	for i, m := range mounts {
		specs[i] = WeightsSpec{m.Artifact.String(), m.Path}
	}
	return specs
}

// planWeights returns the weights of each algorithm of a version, as a plan has
// them.
func (s *Service) planWeights(ctx context.Context, version *constellation.SatelliteVersion) ([][]bundle.Weights, error) {
	var refs []constellation.AlgorithmRef
	for _, a := range version.Algorithms {
		for _, m := range a.Weights {
			refs = append(refs, m.Artifact)
		}
	}
	planned := make([][]bundle.Weights, len(version.Algorithms))
	if len(refs) == 0 {
		return planned, nil
	}
	found, err := s.db.AlgorithmVersionsByRef(ctx, refs)
	if err != nil {
		return nil, err
	}
	known := make(map[constellation.AlgorithmRef]constellation.AlgorithmVersion, len(found))
	for _, v := range found {
		known[v.Ref()] = v
	}
	for i, a := range version.Algorithms {
		for _, m := range a.Weights {
			v, ok := known[m.Artifact]
			if !ok || v.Weights == nil { // a foreign key keeps it
				return nil, fmt.Errorf("weights %s of %s are not registered", m.Artifact, a.VanityURL)
			}
			planned[i] = append(planned[i], bundle.Weights{
				Artifact: m.Artifact.String(), Path: m.Path, Form: v.Weights.Form, Image: planImage(v.Image),
				UnpackedSize: v.Weights.UnpackedSize, Files: v.Weights.Files,
			})
		}
	}
	return planned, nil
}
