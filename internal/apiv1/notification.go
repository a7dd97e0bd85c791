package apiv1

import "time"

// NotificationDestination is where people are told. What lets one post there is not
// shown.
type NotificationDestination struct {
	ID           string     `json:"id" format:"uuid"`
	Name         string     `json:"name" example:"Operators' channel"`
	Kind         string     `json:"kind" enum:"webhook,slack,teams,email"`
	Address      string     `json:"address" doc:"Where it is, without what may be secret; or whom it is mailed to." example:"https://hooks.slack.com/…"`
	Disabled     bool       `json:"disabled" doc:"Nothing is sent there."`
	DisabledWhy  *string    `json:"disabled_why" doc:"Why the mothership turned it off, such as its receiver's answer 410; null when a person did, or it is on."`
	FailingSince *time.Time `json:"failing_since" doc:"Since when it takes no message; null when it took the last one."`
	NextTryAt    *time.Time `json:"next_try_at" doc:"When it is tried again, while it takes none."`
	CreatedAt    time.Time  `json:"created_at"`
	CreatedBy    string     `json:"created_by"`
	UpdatedAt    time.Time  `json:"updated_at"`
	UpdatedBy    string     `json:"updated_by"`
}

// NotificationDestinationCreate is the body of POST /v1/notifications/destinations.
type NotificationDestinationCreate struct {
	Name       string    `json:"name" doc:"At most 200 characters; unique, ignoring case." example:"Operators' channel"`
	Kind       string    `json:"kind" doc:"webhook, slack (and what takes the same, such as Mattermost), teams or email." example:"slack"`
	URL        *string   `json:"url,omitempty" doc:"Of a webhook or chat; not shown again." example:"https://hooks.slack.com/services/T00/B00/XXXX"`
	Secret     *string   `json:"secret,omitempty" doc:"Signs what goes to a webhook, as Standard Webhooks say: whsec_ and 24 to 64 bytes in base64. Left out, one is made and shown in the answer, once."`
	Recipients *[]string `json:"recipients,omitempty" doc:"Addresses of e-mail, 1 to 50."`
}

// NotificationDestinationCreated answers POST /v1/notifications/destinations.
type NotificationDestinationCreated struct {
	NotificationDestination
	Secret *string `json:"secret" doc:"The secret that was made for a webhook, shown this once; null else."`
}

// NotificationDestinationUpdate is the body of PATCH
// /v1/notifications/destinations/{destination_id}; what is left out stays.
type NotificationDestinationUpdate struct {
	Name       *string   `json:"name,omitempty" example:"Night shift"`
	URL        *string   `json:"url,omitempty"`
	Secret     *string   `json:"secret,omitempty"`
	Recipients *[]string `json:"recipients,omitempty"`
	Disabled   *bool     `json:"disabled,omitempty"`
}

// SatelliteSelector says of which satellites something is.
type SatelliteSelector struct {
	Name   string `json:"name,omitempty" doc:"The satellite's name, ignoring case; each '*' stands for anything. Left out, or with an empty name, it is everything, also what is of no satellite." example:"prod-*"`
	Labels string `json:"labels,omitempty" doc:"Which labels they have, in Kubernetes' syntax for selectors; of a launch instance its own labels count over its satellite's." example:"tier=prod,region in (eu,us)"`
}

// QuietHours are when a rule tells nothing.
type QuietHours struct {
	From     string   `json:"from" doc:"HH:MM." example:"22:00"`
	To       string   `json:"to" doc:"HH:MM; the next day's when it is not after from." example:"07:00"`
	TimeZone string   `json:"time_zone" doc:"Whose clock on the wall counts." example:"Europe/Berlin"`
	Except   []string `json:"except,omitempty" doc:"Kinds that are told at once all the same."`
}

// NotificationRule says what is told where.
type NotificationRule struct {
	ID            string            `json:"id" format:"uuid"`
	Name          string            `json:"name" example:"Production"`
	Kinds         []string          `json:"kinds" doc:"What is told; empty is everything." example:"[\"launch.stale\"]"`
	Satellites    SatelliteSelector `json:"satellites" doc:"Of which satellites."`
	Destinations  []string          `json:"destinations" doc:"The ids of the destinations that are told."`
	Quiet         *QuietHours       `json:"quiet" doc:"null: it is never quiet."`
	GroupSeconds  int               `json:"group_seconds" doc:"For how long what happens is gathered into one message." example:"60"`
	RepeatSeconds int               `json:"repeat_seconds" doc:"For how long a launch instance that comes and goes is not told again." example:"900"`
	Disabled      bool              `json:"disabled"`
	CreatedAt     time.Time         `json:"created_at"`
	CreatedBy     string            `json:"created_by"`
	UpdatedAt     time.Time         `json:"updated_at"`
	UpdatedBy     string            `json:"updated_by"`
}

// NotificationRulePut is the body of POST /v1/notifications/rules and of PUT
// /v1/notifications/rules/{rule_id}: the whole rule.
type NotificationRulePut struct {
	Name          string             `json:"name" doc:"At most 200 characters; unique, ignoring case." example:"Production"`
	Kinds         []string           `json:"kinds,omitempty" doc:"launch.degraded, launch.stale, launch.back, launch.expiring, key.expiring, import.failed, quota.near, storage.unhealthy, storage.back, sign_in.throttled, backup.failed or backup.overdue; left out or empty is everything." example:"[\"launch.stale\"]"`
	Satellites    *SatelliteSelector `json:"satellites,omitempty" doc:"Of which satellites; left out is everything, also what is of no satellite."`
	Destinations  []string           `json:"destinations" doc:"The ids of 1 to 20 destinations."`
	Quiet         *QuietHours        `json:"quiet,omitempty" doc:"When nothing is told: what happens then is kept, and told in one message afterwards."`
	GroupSeconds  *int               `json:"group_seconds,omitempty" doc:"For how long what happens is gathered into one message, 0 to 3600; left out is 60." example:"60"`
	RepeatSeconds *int               `json:"repeat_seconds,omitempty" doc:"For how long a launch instance that comes and goes is not told again, 0 to 86400; left out is 900." example:"900"`
	Disabled      bool               `json:"disabled,omitempty" doc:"It tells nothing, and keeps nothing for later."`
}

// NotificationDelivery is a message to one destination, and what became of it.
type NotificationDelivery struct {
	ID              string     `json:"id" format:"uuid" doc:"The webhook-id of what goes to a webhook: the same however often it is sent."`
	DestinationID   *string    `json:"destination_id" format:"uuid" doc:"null: the destination was removed."`
	DestinationName string     `json:"destination_name" example:"Operators' channel"`
	Rule            *string    `json:"rule" doc:"The name of the rule that made it; null of a test." example:"Production"`
	Title           string     `json:"title" example:"3 launches stale"`
	Events          int        `json:"events" doc:"Of how many events it tells." example:"3"`
	State           string     `json:"state" enum:"pending,sent,failed"`
	Attempts        int        `json:"attempts" example:"1"`
	Error           *string    `json:"error" doc:"Why the last attempt failed; null when none did."`
	NextTryAt       *time.Time `json:"next_try_at" doc:"When it is tried again; null when at once, or never."`
	CreatedAt       time.Time  `json:"created_at"`
	FinishedAt      *time.Time `json:"finished_at" doc:"When it was sent or failed for good; null while it is pending."`
}
