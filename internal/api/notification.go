package api

import (
	"context"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

func (s *server) notificationRoutes() {
	add(s, tagNotifications, "GET /v1/notifications/destinations", admin, "listNotificationDestinations", "List where people are told", s.listDestinations)
	add(s, tagNotifications, "POST /v1/notifications/destinations", admin, "createNotificationDestination", "Add a webhook, chat or e-mail addresses", s.createDestination)
	add(s, tagNotifications, "GET /v1/notifications/destinations/{destination_id}", admin, "getNotificationDestination", "Show a destination", s.getDestination)
	add(s, tagNotifications, "PATCH /v1/notifications/destinations/{destination_id}", admin, "updateNotificationDestination", "Change a destination, or turn it off or on", s.updateDestination)
	add(s, tagNotifications, "DELETE /v1/notifications/destinations/{destination_id}", admin, "deleteNotificationDestination", "Remove a destination; messages that wait for it have failed", s.deleteDestination)
	add(s, tagNotifications, "POST /v1/notifications/destinations/{destination_id}/test", admin, "testNotificationDestination", "Send a test to a destination; its delivery says what became of it", s.testDestination)
	add(s, tagNotifications, "GET /v1/notifications/rules", admin, "listNotificationRules", "List what is told where", s.listNotificationRules)
	add(s, tagNotifications, "POST /v1/notifications/rules", admin, "createNotificationRule", "Make a rule of what is told where", s.createNotificationRule)
	add(s, tagNotifications, "GET /v1/notifications/rules/{notification_rule_id}", admin, "getNotificationRule", "Show a rule of what is told", s.getNotificationRule)
	add(s, tagNotifications, "PUT /v1/notifications/rules/{notification_rule_id}", admin, "putNotificationRule", "Make a rule what it is here, whole", s.putNotificationRule)
	add(s, tagNotifications, "DELETE /v1/notifications/rules/{notification_rule_id}", admin, "deleteNotificationRule", "Remove a rule and what it waits to tell", s.deleteNotificationRule)
	add(s, tagNotifications, "GET /v1/notifications/deliveries", admin, "listNotificationDeliveries", "List messages of the last 30 days and what became of them, newest first", s.listDeliveries)
	add(s, tagNotifications, "GET /v1/notifications/deliveries/{delivery_id}", admin, "getNotificationDelivery", "Show a message and what became of it", s.getDelivery)
	add(s, tagNotifications, "POST /v1/notifications/deliveries/{delivery_id}/resend", admin, "resendNotificationDelivery", "Send a message again that was sent or has failed, under its id", s.resendDelivery)
}

// DestinationPath names a destination. Huma reads what is embedded only when it is
// exported.
type DestinationPath struct {
	DestinationID string `path:"destination_id" doc:"The destination's id, a UUID."`
}

// NotificationRulePath names a rule.
type NotificationRulePath struct {
	RuleID string `path:"notification_rule_id" doc:"The rule's id, a UUID."`
}

// DeliveryPath names a delivery.
type DeliveryPath struct {
	DeliveryID string `path:"delivery_id" doc:"The delivery's id, a UUID."`
}

type (
	destinationOutput        struct{ Body apiv1.NotificationDestination }
	destinationCreatedOutput struct {
		Body apiv1.NotificationDestinationCreated
	}
	notificationRuleOutput struct{ Body apiv1.NotificationRule }
	deliveryOutput         struct{ Body apiv1.NotificationDelivery }
)

func (s *server) listDestinations(ctx context.Context, in *ListInput) (*listOutput[apiv1.NotificationDestination], error) {
	c := callOf(ctx)
	page, err := c.control.ListDestinations(ctx, c.principal, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireDestination)
}

func (s *server) createDestination(ctx context.Context, in *struct {
	Body apiv1.NotificationDestinationCreate
}) (*destinationCreatedOutput, error) {
	c := callOf(ctx)
	d, secret, err := c.control.CreateDestination(ctx, c.principal, control.DestinationChange{
		Name: &in.Body.Name, Kind: constellation.DestinationKind(in.Body.Kind), URL: in.Body.URL, Secret: in.Body.Secret, Recipients: in.Body.Recipients,
	})
	if err != nil {
		return nil, err
	}
	return &destinationCreatedOutput{apiv1.NotificationDestinationCreated{NotificationDestination: wireDestination(d), Secret: orNull(secret)}}, nil
}

func (s *server) getDestination(ctx context.Context, in *DestinationPath) (*destinationOutput, error) {
	c := callOf(ctx)
	d, err := c.control.GetDestination(ctx, c.principal, in.DestinationID)
	if err != nil {
		return nil, err
	}
	return &destinationOutput{wireDestination(d)}, nil
}

type updateDestinationInput struct {
	DestinationPath
	Body apiv1.NotificationDestinationUpdate
}

func (s *server) updateDestination(ctx context.Context, in *updateDestinationInput) (*destinationOutput, error) {
	c := callOf(ctx)
	d, err := c.control.UpdateDestination(ctx, c.principal, in.DestinationID, control.DestinationChange{
		Name: in.Body.Name, URL: in.Body.URL, Secret: in.Body.Secret, Recipients: in.Body.Recipients, Disabled: in.Body.Disabled,
	})
	if err != nil {
		return nil, err
	}
	return &destinationOutput{wireDestination(d)}, nil
}

func (s *server) deleteDestination(ctx context.Context, in *DestinationPath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, c.control.DeleteDestination(ctx, c.principal, in.DestinationID)
}

func (s *server) testDestination(ctx context.Context, in *DestinationPath) (*deliveryOutput, error) {
	c := callOf(ctx)
	d, err := c.control.TestDestination(ctx, c.principal, in.DestinationID)
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{wireDelivery(d)}, nil
}

func wireDestination(d *constellation.Destination) apiv1.NotificationDestination {
	return apiv1.NotificationDestination{
		ID: d.ID, Name: d.Name, Kind: string(d.Kind), Address: d.Address, Disabled: d.Disabled, DisabledWhy: orNull(d.DisabledWhy),
		FailingSince: utc(d.FailingSince), NextTryAt: utc(d.NextTryAt), CreatedAt: d.CreatedAt.UTC(), CreatedBy: d.CreatedBy, UpdatedAt: d.UpdatedAt.UTC(), UpdatedBy: d.UpdatedBy,
	}
}

func (s *server) listNotificationRules(ctx context.Context, in *ListInput) (*listOutput[apiv1.NotificationRule], error) {
	c := callOf(ctx)
	page, err := c.control.ListNotificationRules(ctx, c.principal, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireNotificationRule)
}

func (s *server) createNotificationRule(ctx context.Context, in *struct{ Body apiv1.NotificationRulePut }) (*notificationRuleOutput, error) {
	c := callOf(ctx)
	r, err := c.control.CreateNotificationRule(ctx, c.principal, readNotificationRule(&in.Body))
	if err != nil {
		return nil, err
	}
	return &notificationRuleOutput{wireNotificationRule(r)}, nil
}

func (s *server) getNotificationRule(ctx context.Context, in *NotificationRulePath) (*notificationRuleOutput, error) {
	c := callOf(ctx)
	r, err := c.control.GetNotificationRule(ctx, c.principal, in.RuleID)
	if err != nil {
		return nil, err
	}
	return &notificationRuleOutput{wireNotificationRule(r)}, nil
}

type putNotificationRuleInput struct {
	NotificationRulePath
	Body apiv1.NotificationRulePut
}

func (s *server) putNotificationRule(ctx context.Context, in *putNotificationRuleInput) (*notificationRuleOutput, error) {
	c := callOf(ctx)
	r, err := c.control.PutNotificationRule(ctx, c.principal, in.RuleID, readNotificationRule(&in.Body))
	if err != nil {
		return nil, err
	}
	return &notificationRuleOutput{wireNotificationRule(r)}, nil
}

func (s *server) deleteNotificationRule(ctx context.Context, in *NotificationRulePath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, c.control.DeleteNotificationRule(ctx, c.principal, in.RuleID)
}

// readNotificationRule returns what a body says, with what it leaves out.
func readNotificationRule(in *apiv1.NotificationRulePut) constellation.NotificationRule {
	r := constellation.NotificationRule{
		Name: in.Name, Kinds: readKinds(in.Kinds), DestinationIDs: in.Destinations, Disabled: in.Disabled,
		GroupSeconds: control.DefaultGroupSeconds, RepeatSeconds: control.DefaultRepeatSeconds,
	}
	if in.Satellites != nil {
		r.Selector = constellation.SatelliteSelector(*in.Satellites)
	}
	if in.Quiet != nil {
		r.Quiet = &constellation.QuietHours{From: in.Quiet.From, To: in.Quiet.To, TimeZone: in.Quiet.TimeZone, Except: readKinds(in.Quiet.Except)}
	}
	if in.GroupSeconds != nil {
		r.GroupSeconds = *in.GroupSeconds
	}
	if in.RepeatSeconds != nil {
		r.RepeatSeconds = *in.RepeatSeconds
	}
	return r
}

func readKinds(names []string) []constellation.NoticeKind {
	var kinds []constellation.NoticeKind
	for _, name := range names {
		kinds = append(kinds, constellation.NoticeKind(name))
	}
	return kinds
}

func wireKinds(kinds []constellation.NoticeKind) []string {
	names := []string{}
	for _, kind := range kinds {
		names = append(names, string(kind))
	}
	return names
}

func wireNotificationRule(r *constellation.NotificationRule) apiv1.NotificationRule {
	rule := apiv1.NotificationRule{
		ID: r.ID, Name: r.Name, Kinds: wireKinds(r.Kinds), Satellites: apiv1.SatelliteSelector(r.Selector), Destinations: append([]string{}, r.DestinationIDs...),
		GroupSeconds: r.GroupSeconds, RepeatSeconds: r.RepeatSeconds, Disabled: r.Disabled,
		CreatedAt: r.CreatedAt.UTC(), CreatedBy: r.CreatedBy, UpdatedAt: r.UpdatedAt.UTC(), UpdatedBy: r.UpdatedBy,
	}
	if r.Quiet != nil {
		rule.Quiet = &apiv1.QuietHours{From: r.Quiet.From, To: r.Quiet.To, TimeZone: r.Quiet.TimeZone, Except: wireKinds(r.Quiet.Except)}
	}
	return rule
}

type listDeliveriesInput struct {
	ListInput
	State         string `query:"state" enum:"pending,sent,failed" doc:"Keeps the deliveries in this state."`
	DestinationID string `query:"destination_id" doc:"Keeps the deliveries to this destination."`
}

func (s *server) listDeliveries(ctx context.Context, in *listDeliveriesInput) (*listOutput[apiv1.NotificationDelivery], error) {
	c := callOf(ctx)
	page, err := c.control.ListDeliveries(ctx, c.principal, control.DeliveryFilter{State: in.State, DestinationID: in.DestinationID}, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireDelivery)
}

func (s *server) getDelivery(ctx context.Context, in *DeliveryPath) (*deliveryOutput, error) {
	c := callOf(ctx)
	d, err := c.control.GetDelivery(ctx, c.principal, in.DeliveryID)
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{wireDelivery(d)}, nil
}

func (s *server) resendDelivery(ctx context.Context, in *DeliveryPath) (*deliveryOutput, error) {
	c := callOf(ctx)
	d, err := c.control.ResendDelivery(ctx, c.principal, in.DeliveryID)
	if err != nil {
		return nil, err
	}
	return &deliveryOutput{wireDelivery(d)}, nil
}

func wireDelivery(d *constellation.Delivery) apiv1.NotificationDelivery {
	return apiv1.NotificationDelivery{
		ID: d.ID, DestinationID: d.DestinationID, DestinationName: d.DestinationName, Rule: orNull(d.RuleName), Title: d.Title, Events: d.Notices,
		State: string(d.State), Attempts: d.Attempts, Error: orNull(d.Error), NextTryAt: utc(d.NextTryAt), CreatedAt: d.CreatedAt.UTC(), FinishedAt: utc(d.FinishedAt),
	}
}
