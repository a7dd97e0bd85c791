package constellation

import (
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"
)

// DestinationKind is how a destination is told.
type DestinationKind string

// The kinds of destinations.
const (
	DestinationWebhook DestinationKind = "webhook" // signed as Standard Webhooks say
	DestinationSlack   DestinationKind = "slack"   // and what takes the same, such as Mattermost
	DestinationTeams   DestinationKind = "teams"
	DestinationEmail   DestinationKind = "email"
)

// DestinationKinds are all kinds.
var DestinationKinds = []DestinationKind{DestinationWebhook, DestinationSlack, DestinationTeams, DestinationEmail}

// Destination is where people are told. What lets one post there is not in it.
type Destination struct {
	ID           string // UUID
	Name         string
	Kind         DestinationKind
	Address      string // the URL without what may be secret, or whom it is mailed to, by ", "
	Disabled     bool
	DisabledWhy  string     // "" when a person did it
	FailingSince *time.Time // nil: it took the last message
	NextTryAt    *time.Time
	CreatedAt    time.Time
	CreatedBy    string
	UpdatedAt    time.Time
	UpdatedBy    string
}

// DestinationSecret is what lets one post to a destination.
type DestinationSecret struct {
	URL    string `json:"url"`
	Secret string `json:"secret,omitempty"` // of a webhook, whsec_…
}

// Bounds of destinations and rules.
const (
	MaxDestinations = 200 // and as many rules
	maxRecipients   = 50
	maxTargetURL    = 2000
	MaxGroupSeconds = 3600
	MaxRepeat       = 24 * 3600
)

// CheckTarget adds to v what is wrong with the URL of a destination, and returns what
// may be shown of it.
func CheckTarget(v *Validation, kind DestinationKind, target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || len(target) > maxTargetURL {
		v.Add("url", "the URL is https://HOST/PATH, or http:// in a network of one's own, without a user and password; at most %d bytes", maxTargetURL)
		return ""
	}
	if kind == DestinationWebhook && u.RawQuery == "" {
		return target
	}
	if kind == DestinationWebhook {
		return u.Scheme + "://" + u.Host + u.EscapedPath() + "?…"
	}
	return u.Scheme + "://" + u.Host + "/…" // a chat's path is its secret
}

// CheckRecipients adds to v what is wrong with addresses of e-mail, and returns them
// as they are shown and mailed to.
func CheckRecipients(v *Validation, recipients []string) string {
	if len(recipients) == 0 || len(recipients) > maxRecipients {
		v.Add("recipients", "mail goes to 1 to %d addresses", maxRecipients)
		return ""
	}
	var list []string
	for _, r := range recipients {
		r = strings.TrimSpace(r)
		parsed, err := mail.ParseAddress(r)
		if err != nil || parsed.Address != r || len(r) > 254 || strings.ContainsFunc(r, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`",<>()`, c) }) {
			v.Add("recipients", "%q is no e-mail address such as ops@example.com", shortText(r, 60))
			continue
		}
		if !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	return strings.Join(list, ", ")
}

func shortText(s string, n int) string {
	if runes := []rune(strings.ToValidUTF8(s, "")); len(runes) > n {
		return string(runes[:n]) + "…"
	}
	return s
}

// NotificationRule says what is told where.
type NotificationRule struct {
	ID             string // UUID
	Name           string
	Kinds          []NoticeKind // none is every kind
	Selector       SatelliteSelector
	DestinationIDs []string
	Quiet          *QuietHours // nil is none
	GroupSeconds   int         // how long what happens is gathered into one message
	RepeatSeconds  int         // how long a thing that comes and goes is not told again
	Disabled       bool
	CreatedAt      time.Time
	CreatedBy      string
	UpdatedAt      time.Time
	UpdatedBy      string
}

// SatelliteSelector says of which satellites a rule is. Its zero value is everything,
// also what is of no satellite.
type SatelliteSelector struct {
	Name   string `json:"name,omitempty"`   // each '*' stands for anything; case does not count
	Labels string `json:"labels,omitempty"` // a LabelSelector; of a launch its own labels count over its satellite's
}

// Matches reports whether a notice is of such a satellite, or of such a launch of it.
func (s SatelliteSelector) Matches(n *Notice) bool {
	if s == (SatelliteSelector{}) {
		return true
	}
	labels, err := ParseLabelSelector(s.Labels)
	return err == nil && n.SatelliteID != nil && (s.Name == "" || glob(Fold(s.Name), Fold(n.SatelliteName))) && labels.Matches(n.Labels)
}

// Matches reports whether the rule is for a notice.
func (r *NotificationRule) Matches(n *Notice) bool {
	return (len(r.Kinds) == 0 || slices.Contains(r.Kinds, n.Kind)) && r.Selector.Matches(n)
}

// CheckNotificationRule adds to v what is wrong with a rule.
func CheckNotificationRule(v *Validation, r *NotificationRule) {
	CheckDisplayName(v, "name", "a rule", r.Name)
	checkKinds(v, "kinds", r.Kinds)
	if len([]rune(r.Selector.Name)) > 200 || strings.ContainsFunc(r.Selector.Name, IsInvisible) {
		v.Add("satellites.name", "a pattern has at most 200 characters, of those that are seen; each '*' in it stands for anything")
	}
	CheckLabelSelector(v, "satellites.labels", r.Selector.Labels)
	if len(r.DestinationIDs) == 0 || len(r.DestinationIDs) > 20 {
		v.Add("destinations", "a rule tells 1 to 20 destinations")
	}
	if r.GroupSeconds < 0 || r.GroupSeconds > MaxGroupSeconds {
		v.Add("group_seconds", "what happens is gathered for 0 to %d seconds", MaxGroupSeconds)
	}
	if r.RepeatSeconds < 0 || r.RepeatSeconds > MaxRepeat {
		v.Add("repeat_seconds", "what comes and goes is told again after 0 to %d seconds", MaxRepeat)
	}
	if r.Quiet != nil {
		r.Quiet.check(v)
	}
}

func checkKinds(v *Validation, field string, kinds []NoticeKind) {
	for _, k := range kinds {
		if !k.Known() {
			var all []string
			for _, known := range NoticeKinds {
				all = append(all, string(known.Kind))
			}
			v.Add(field, "there is no kind %q; there are %s", shortText(string(k), 40), strings.Join(all, ", "))
			return
		}
	}
}

// DeliveryState is what became of a message.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryPending DeliveryState = "pending"
	DeliverySent    DeliveryState = "sent"
	DeliveryFailed  DeliveryState = "failed"
)

// Delivery is a message to one destination, and what became of it.
type Delivery struct {
	ID              string  // UUID; the same however often it is sent
	DestinationID   *string // nil: the destination was removed
	DestinationName string
	RuleName        string // "" of a test
	Title           string
	Notices         int // how many it tells of
	State           DeliveryState
	Attempts        int
	Error           string // of the last attempt, for people
	NextTryAt       *time.Time
	CreatedAt       time.Time
	FinishedAt      *time.Time
}

// NoticeMessage is what one message says.
type NoticeMessage struct {
	Title   string        `json:"title"`
	Rule    string        `json:"rule,omitempty"`
	Count   int           `json:"count"`
	Counts  []NoticeCount `json:"counts,omitempty"`
	Notices []Notice      `json:"notices"` // the first few
	Held    bool          `json:"held,omitempty"`
	Test    bool          `json:"test,omitempty"`
}

// NoticeCount is how many notices of a kind a message tells of.
type NoticeCount struct {
	Kind  NoticeKind `json:"kind"`
	Count int        `json:"count"`
}
