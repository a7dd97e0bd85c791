package constellation

import (
	"strconv"
	"strings"
)

// SatelliteDraft is a satellite as somebody is typing it: nothing in it is
// checked yet.
type SatelliteDraft struct {
	ID           string           `json:"-"` // UUID
	SatelliteID  string           `json:"-"` // "" for a new satellite
	BaseRevision int64            `json:"base_revision"`
	BaseVersion  int              `json:"base_version"`
	BaseName     string           `json:"base_name"`
	Name         string           `json:"name"`
	BaseLabels   string           `json:"base_labels,omitempty"` // as Labels.Text has them
	Labels       string           `json:"labels,omitempty"`      // as they were typed
	Algorithms   []DraftAlgorithm `json:"algorithms"`
	Schedules    []Schedule       `json:"schedules,omitempty"`
}

// DraftAlgorithm is a line of a draft, as it was typed.
type DraftAlgorithm struct {
	Algorithm string `json:"algorithm"`
	VanityURL string `json:"vanity_url"`
	Replicas  string `json:"replicas"`

	MinReplicas string `json:"min_replicas,omitempty"`
	MaxReplicas string `json:"max_replicas,omitempty"`

	Settings PodSettingsText `json:"settings,omitzero"`
	Weights  string          `json:"weights,omitempty"` // as WeightsText has them

	// RuntimeRevision is which of the algorithm's runtime settings it is to have; 0
	// is the newest when it is saved.
	RuntimeRevision int `json:"runtime_revision,omitempty"`
}

// DraftAlgorithms are a version's algorithms as lines of a draft.
func DraftAlgorithms(list []SatelliteAlgorithm) []DraftAlgorithm {
	lines := make([]DraftAlgorithm, len(list))
	for i, a := range list {
		lines[i] = DraftAlgorithm{Algorithm: a.Algorithm.String(), VanityURL: a.VanityURL, Replicas: strconv.Itoa(a.Replicas), Settings: a.Settings.Text(), Weights: WeightsText(a.Weights), RuntimeRevision: a.RuntimeRevision}
		if a.MinReplicas != nil {
			lines[i].MinReplicas = strconv.Itoa(*a.MinReplicas)
		}
		if a.MaxReplicas != 0 {
			lines[i].MaxReplicas = strconv.Itoa(a.MaxReplicas)
		}
	}
	return lines
}

// Typed is a line as a satellite's algorithm, as far as it can be read: what
// differs from a saved version is seen before it is saved.
func (d DraftAlgorithm) Typed() SatelliteAlgorithm {
	a := SatelliteAlgorithm{VanityURL: d.VanityURL, RuntimeRevision: d.RuntimeRevision}
	a.Weights, _ = ParseWeights(d.Weights)
	a.Settings, _ = d.Settings.Parse()
	a.Replicas, _ = strconv.Atoi(strings.TrimSpace(d.Replicas)) // saving checks them
	a.MaxReplicas, _ = strconv.Atoi(strings.TrimSpace(d.MaxReplicas))
	if least, err := strconv.Atoi(strings.TrimSpace(d.MinReplicas)); err == nil {
		a.MinReplicas = &least
	}
	parts := strings.SplitN(d.Algorithm, "/", 3)
	for i, part := range []*string{&a.Algorithm.Owner, &a.Algorithm.Name, &a.Algorithm.Hash} {
		if i < len(parts) {
			*part = parts[i]
		}
	}
	return a
}

// Typed is the draft as a satellite's version, as far as it can be read.
func (d *SatelliteDraft) Typed() *SatelliteVersion {
	version := &SatelliteVersion{Algorithms: make([]SatelliteAlgorithm, len(d.Algorithms)), Schedules: make([]Schedule, len(d.Schedules))}
	for i, line := range d.Algorithms {
		version.Algorithms[i] = line.Typed()
	}
	for i, schedule := range d.Schedules {
		version.Schedules[i] = schedule.WithDefaults()
	}
	return version
}
