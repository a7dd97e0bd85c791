package control

import (
	"cmp"
	"context"
	"slices"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// LaunchTotal is how many launches have a status and, unless Label is "", a value of
// a label.
type LaunchTotal struct {
	Label, Value string
	Status       constellation.LaunchStatus
	Count        int64
}

// What metrics have of labels.
const (
	MaxMetricsLabels = 5
	maxMetricsValues = 50 // of each; the others are in otherValues
	otherValues      = "_other"
)

// LaunchTotals returns how many launches there are by status, and by the values of
// labels, for metrics; at most a minute old.
func (s *Service) LaunchTotals(ctx context.Context, labels []string) ([]LaunchTotal, error) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if now := s.now(); s.memory.launchesAt.IsZero() || now.Sub(s.memory.launchesAt) >= statsAge {
		counts, err := s.options.DB.LaunchCounts(ctx, labels)
		if err != nil {
			return nil, err
		}
		s.memory.launches, s.memory.launchesAt = launchTotals(counts), now
	}
	return s.memory.launches, nil
}

// launchTotals bounds counts: of each label, the most common values stay.
func launchTotals(counts []postgres.LaunchCount) []LaunchTotal {
	type value struct{ label, value string }
	common := map[value]int64{}
	for _, c := range counts {
		common[value{c.Label, c.Value}] += c.Count
	}
	order := make([]value, 0, len(common))
	for v := range common {
		order = append(order, v)
	}
	slices.SortFunc(order, func(a, b value) int {
		return cmp.Or(cmp.Compare(a.label, b.label), cmp.Compare(common[b], common[a]), cmp.Compare(a.value, b.value))
	})
	kept, of := map[value]bool{}, map[string]int{}
	for _, v := range order {
		if of[v.label]++; of[v.label] <= maxMetricsValues {
			kept[v] = true
		}
	}
	sums := map[LaunchTotal]int64{} // their Count is 0
	for _, status := range constellation.LaunchStatuses {
		sums[LaunchTotal{Status: status}] = 0
	}
	for _, c := range counts {
		total := LaunchTotal{Label: c.Label, Value: c.Value, Status: c.Status}
		if !kept[value{c.Label, c.Value}] {
			total.Value = otherValues
		}
		sums[total] += c.Count
	}
	list := make([]LaunchTotal, 0, len(sums))
	for total, n := range sums {
		total.Count = n
		list = append(list, total)
	}
	return list
}
