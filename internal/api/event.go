package api

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

func (s *server) eventRoutes() {
	add(s, tagEvents, "GET /v1/events", admin, "listEvents", "List the audit log, newest first", s.listEvents)
}

type listEventsInput struct {
	ListInput
	Actor      string    `query:"actor" doc:"Only what this user did." example:"neo"`
	Action     string    `query:"action" doc:"Only this sort of change." example:"satellite.create"`
	TargetKind string    `query:"target_kind" doc:"Only changes to this sort of thing." example:"satellite"`
	TargetID   string    `query:"target_id" doc:"Only changes to the thing with this id."`
	Since      time.Time `query:"since" doc:"Only what happened then or later." example:"2027-01-31T12:00:00Z"`
	Expand     string    `query:"expand" enum:"changes" doc:"changes: with what was before and after each. A page has fewer results then, when that is long."`
	Until      time.Time `query:"until" doc:"Only what happened before then." example:"2027-01-31T12:00:00Z"`
}

func (s *server) listEvents(ctx context.Context, in *listEventsInput) (*listOutput[apiv1.Event], error) {
	c := callOf(ctx)
	query := in.query()
	query.Expand = in.Expand != ""
	page, err := c.control.ListEvents(ctx, c.principal, control.EventQuery{
		ListQuery: query, Actor: in.Actor, Action: in.Action, TargetKind: in.TargetKind, TargetID: in.TargetID,
		Since: orNone(in.Since), Until: orNone(in.Until),
	})
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireEvent)
}

func wireEvent(e *constellation.Event) apiv1.Event {
	return apiv1.Event{
		ID: e.ID, At: e.At.UTC(), Actor: e.Actor, ActorKeyID: orNull(e.ActorKeyID), Action: e.Action,
		TargetKind: e.TargetKind, TargetID: e.TargetID, TargetName: e.TargetName,
		Before: e.Before, After: e.After, Address: orNull(e.Address),
	}
}
