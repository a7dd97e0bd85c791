package control

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// LaunchWait is what AwaitLaunch waits for: that a launch is up and runs
// Version, or with AtLeast a later one too; 0 is the version that it should run.
type LaunchWait struct {
	Version int
	AtLeast bool
}

// reached reports whether the launch is where w wants it.
func (w LaunchWait) reached(l *constellation.Launch) bool {
	wanted := w.Version
	if wanted == 0 {
		wanted = l.SatelliteVersion
	}
	if l.RunningVersion == nil || l.Status != constellation.LaunchUp {
		return false
	}
	return *l.RunningVersion == wanted || w.AtLeast && *l.RunningVersion > wanted
}

// How often a launch that is waited for is looked at, however little and however
// much is heard of it.
const (
	waitLook = 5 * time.Second
	waitGap  = 100 * time.Millisecond
)

// AwaitLaunch waits until a launch is where w wants it or ctx ends, and reports
// whether it is.
func (s *Service) AwaitLaunch(ctx context.Context, p Principal, satelliteID, launchID string, w LaunchWait) (bool, error) {
	changes := s.Changes(ctx) // from before the first look
	launch, err := s.GetLaunch(ctx, p, satelliteID, launchID)
	for err == nil && !w.reached(launch) && awaitChange(ctx, changes, launch.ID) {
		pause(ctx, waitGap)
		launch, err = s.launch(ctx, p, launch.SatelliteID, launch.ID)
	}
	if ctx.Err() != nil { // perhaps in a look
		return err == nil && w.reached(launch), nil
	}
	return err == nil, err
}

// awaitChange returns when the launch may have changed, or after waitLook; it
// reports false when ctx ended.
func awaitChange(ctx context.Context, changes <-chan Change, launchID string) bool {
	look := time.NewTimer(waitLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-look.C:
			return true
		case c, ok := <-changes:
			if !ok {
				return false
			}
			if c.ID == launchID || c.Kind == ChangeMany {
				return true
			}
		}
	}
}
