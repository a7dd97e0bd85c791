package durable

import (
	"github.com/constellation-serving/constellation/internal/satellite/batch"
)

// A batch may have this part of the queue's disk filled with lines that have not
// run, within bounds; what is beyond waits at its client.
const (
	aheadPart = 128
	minAhead  = 4 << 20
	maxAhead  = 64 << 20
)

func (s *Service) newBatches(d *Session) *batch.Service {
	return batch.New(batch.Options{
		Queue: d.Queue, Runner: s.Runner, Spend: s.Spend, Algorithms: s.servedURLs,
		Retention: d.Settings.Keep(), MaxPending: min(max(d.Settings.SizeBytes/aheadPart, minAhead), maxAhead),
		DrainTimeout: s.DrainTimeout, Lines: s.lines, Log: s.Log, Now: s.Now,
	})
}

// servedURLs returns the vanity URLs that are served now.
func (s *Service) servedURLs() []string {
	t := s.Table()
	list := make([]string, len(t.Routes))
	for i, r := range t.Routes {
		list[i] = r.VanityURL
	}
	return list
}
