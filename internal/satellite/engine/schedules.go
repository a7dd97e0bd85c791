package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/schedule"
)

// scheduleKey stands for the key of calls that schedules make.
const scheduleKey = "schedule"

func (e *Engine) newSchedules(d *durable) *schedule.Service {
	return schedule.New(schedule.Options{
		Queue: d.queue, Schedules: e.schedules, IsLeader: e.decides,
		Submit: func(ctx context.Context, c schedule.Call) (string, error) { return e.submitDue(ctx, d, c) },
		StateOf: func(ctx context.Context, requestID, vanityURL string) (string, bool) {
			state, err := d.calls.StateOf(ctx, requestID, vanityURL)
			return string(state), err == nil && state == async.Queued
		},
		Log: e.log, Now: e.now,
	})
}

// schedules returns those of all algorithms.
func (e *Engine) schedules() []constellation.Schedule {
	var all []constellation.Schedule
	for _, r := range e.table.Load().Routes {
		for _, s := range r.Schedules {
			s.VanityURL = r.VanityURL
			all = append(all, s)
		}
	}
	return all
}

// submitDue stores a call that a schedule makes.
func (e *Engine) submitDue(ctx context.Context, d *durable, c schedule.Call) (string, error) {
	t := e.table.Load()
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
	id, f := d.calls.Accept(ctx, async.Submission{
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

// scheduleStates returns how the schedules do, as heartbeats have it.
func (e *Engine) scheduleStates(ctx context.Context) []apiv1.HeartbeatSchedule {
	d := e.durable.Load()
	if d == nil {
		return nil
	}
	var all []apiv1.HeartbeatSchedule
	for _, s := range d.times.State(ctx) {
		all = append(all, apiv1.HeartbeatSchedule{
			Name: s.Name, LastAt: known(s.LastAt), LastState: s.LastState, LastRequestID: s.LastRequestID, NextAt: known(s.NextAt), Missed: s.Missed,
		})
	}
	return all
}

// known returns a time, nil when it is zero.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
