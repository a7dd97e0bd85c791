package durable

import (
	"context"
	"fmt"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/schedule"
)

// scheduleKey stands for the key of calls that schedules make.
const scheduleKey = "schedule"

func (s *Service) newSchedules(d *Session) *schedule.Service {
	return schedule.New(schedule.Options{
		Queue: d.Queue, Schedules: s.schedules, IsLeader: s.Decides,
		Submit: func(ctx context.Context, c schedule.Call) (string, error) { return s.submitDue(ctx, d, c) },
		StateOf: func(ctx context.Context, requestID, vanityURL string) (string, bool) {
			state, err := d.Calls.StateOf(ctx, requestID, vanityURL)
			return string(state), err == nil && state == async.Queued
		},
		Log: s.Log, Now: s.Now,
	})
}

// schedules returns those of all algorithms.
func (s *Service) schedules() []constellation.Schedule {
	var all []constellation.Schedule
	for _, r := range s.Table().Routes {
		for _, one := range r.Schedules {
			one.VanityURL = r.VanityURL
			all = append(all, one)
		}
	}
	return all
}

// submitDue stores a call that a schedule makes.
func (s *Service) submitDue(ctx context.Context, d *Session, c schedule.Call) (string, error) {
	t := s.Table()
	route := t.ByVanityURL[c.Schedule.VanityURL]
	if route == nil {
		return "", fmt.Errorf("the satellite does not serve %s", c.Schedule.VanityURL)
	}
	if f := d.drained(ctx); f != nil {
		return "", f
	}
	body, err := c.Schedule.Body()
	if err != nil {
		return "", err
	}
	id, f := d.Calls.Accept(ctx, async.Submission{
		Input: async.Input{
			VanityURL: route.VanityURL, KeyID: scheduleKey, ContentType: c.Schedule.ContentType, Body: body,
		},
		Algorithm: route.Algorithm, IdempotencyKey: t.Satellite.ID + "/" + c.Key,
	})
	if f != nil {
		return "", f
	}
	return id, nil
}
