package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// updateStatuses computes the statuses of launches as of now.
func (s *Service) updateStatuses(launches []constellation.Launch) {
	now, watching := s.now(), s.watchingFor()
	for i := range launches {
		launches[i].UpdateStatus(now, watching)
	}
}

// watchingFor is watchingSince of a server that runs; another process, such as
// a shell's, has watched all the time through the server.
func (s *Service) watchingFor() time.Time {
	if !s.Running() {
		return time.Time{}
	}
	return s.watchingSince()
}

// GetLaunchReport returns a launch with what it last reported; nil when it never
// did.
func (s *Service) GetLaunchReport(ctx context.Context, p Principal, satelliteID, launchID string) (*constellation.Launch, *constellation.LaunchReport, error) {
	launch, err := s.GetLaunch(ctx, p, satelliteID, launchID)
	if err != nil || launch.FirstSeenAt == nil {
		return launch, nil, err
	}
	state, err := s.launchState(ctx, launch.ID)
	if err != nil || state == nil {
		return launch, nil, err
	}
	hours, err := s.points(ctx, launch.ID, state, constellation.HistoryResolutions[1], s.now().Add(-24*time.Hour))
	if err != nil {
		return nil, nil, err
	}
	report := &constellation.LaunchReport{Engine: state.Engine, Work: state.Work}
	if report.Commands, err = s.db.Commands(ctx, launch.ID); err != nil {
		return nil, nil, err
	}
	for _, e := range state.Engines {
		report.Engines = append(report.Engines, constellation.LaunchEngine{ID: e.ID, StartedAt: e.StartedAt})
	}
	for _, a := range state.Algorithms {
		var day, ever constellation.Tally
		for _, hour := range hours {
			if point := hour.Algorithms[a.VanityURL]; point != nil {
				day.Add(&point.Tally)
			}
		}
		if total := state.Ever[a.VanityURL]; total != nil {
			ever = *total
		}
		report.Algorithms = append(report.Algorithms, constellation.LaunchAlgorithm{AlgorithmState: a, Day: day.Counts(), Ever: ever.Counts()})
	}
	return launch, report, nil
}

// launchState reads what is kept of a launch's heartbeats; nil when it was
// removed meanwhile.
func (s *Service) launchState(ctx context.Context, launchID string) (*launchState, error) {
	data, err := s.db.LaunchState(ctx, launchID)
	if err != nil || data == "" {
		return nil, err
	}
	return readLaunchState(data)
}

// points returns a launch's history of one resolution, with the point that still
// grows.
func (s *Service) points(ctx context.Context, launchID string, state *launchState, r constellation.HistoryResolution, from time.Time) ([]*historyPoint, error) {
	rows, err := s.db.History(ctx, launchID, int(r.Length/time.Second), from)
	if err != nil {
		return nil, err
	}
	points := make([]*historyPoint, 0, len(rows)+1)
	for _, row := range rows {
		point := &historyPoint{}
		if err := json.Unmarshal([]byte(row.Point), point); err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		points = append(points, point)
	}
	i := slices.Index(constellation.HistoryResolutions, r)
	if i < len(state.Open) && state.Open[i] != nil && !state.Open[i].At.Before(from) {
		points = slices.DeleteFunc(points, func(p *historyPoint) bool { return p.At.Equal(state.Open[i].At) })
		points = append(points, state.Open[i])
	}
	return points, nil
}

// GetLaunchHistory returns how a launch did, or one of its algorithms when a
// vanity URL is given, in points of a resolution: 5m (the default), 1h or 1d.
func (s *Service) GetLaunchHistory(ctx context.Context, p Principal, satelliteID, launchID, resolution, vanityURL string) (*constellation.LaunchHistory, error) {
	if resolution == "" {
		resolution = constellation.HistoryResolutions[0].Name
	}
	i := slices.IndexFunc(constellation.HistoryResolutions, func(r constellation.HistoryResolution) bool { return r.Name == resolution })
	if i < 0 {
		names := make([]string, len(constellation.HistoryResolutions))
		for i, r := range constellation.HistoryResolutions {
			names[i] = r.Name
		}
		var v constellation.Validation
		v.Add("resolution", "resolution is one of %s; not %q", strings.Join(names, ", "), clean(resolution, 40))
		return nil, malformed(v.Err())
	}
	launch, err := s.GetLaunch(ctx, p, satelliteID, launchID)
	if err != nil {
		return nil, err
	}
	r, now := constellation.HistoryResolutions[i], s.now()
	// The oldest slot of the ring is the one that the newest will be put in.
	history := &constellation.LaunchHistory{Resolution: r.Length, From: now.Truncate(r.Length).Add(r.Length - r.Kept), To: now}
	state, err := s.launchState(ctx, launch.ID)
	if err != nil || state == nil {
		return history, err
	}
	points, err := s.points(ctx, launch.ID, state, r, history.From)
	if err != nil {
		return nil, err
	}
	for _, point := range points {
		if shown, ok := point.of(vanityURL); ok {
			history.Points = append(history.Points, shown)
		}
	}
	return history, nil
}

// of returns the point as it is shown, of one algorithm or, for "", of all.
func (p *historyPoint) of(vanityURL string) (constellation.LaunchPoint, bool) {
	shown := constellation.LaunchPoint{At: p.At, Heartbeats: p.Heartbeats, Ready: p.Ready, Wanted: p.Wanted}
	if vanityURL != "" {
		a := p.Algorithms[vanityURL]
		if a == nil {
			return shown, false
		}
		shown.Ready, shown.Wanted, shown.CallCounts = a.Ready, a.Wanted, a.Counts()
		return shown, true
	}
	var sum constellation.Tally
	for _, a := range p.Algorithms {
		sum.Add(&a.Tally)
	}
	shown.CallCounts = sum.Counts()
	return shown, true
}
