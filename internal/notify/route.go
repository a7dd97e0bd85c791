package notify

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// How notices are matched and gathered.
const (
	routePeriod = time.Second
	routeBatch  = 2000
	mostInOne   = 50_000 // notices in one message
	clockSlack  = 5 * time.Minute
	backoffMost = time.Minute
)

// Run matches and gathers notices until ctx ends. Any number of servers do; one at a
// time has the work.
func (s *Service) Run(ctx context.Context) {
	wait := routePeriod
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		more, err := s.Route(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			if !failing {
				s.config.Log.WarnContext(ctx, "gather what people are told", "error", err)
			}
			failing, wait = true, min(2*max(wait, routePeriod), backoffMost)
		case more:
			failing, wait = false, 0
		default:
			failing, wait = false, routePeriod
		}
	}
}

// Route matches new notices with the rules, and makes messages of what waited long
// enough; it reports whether there is more to match. While nothing happens it costs one
// look into an empty table.
func (s *Service) Route(ctx context.Context) (more bool, err error) {
	wait, err := s.config.DB.NoticesWait(ctx)
	if err != nil || !wait {
		return false, err
	}
	err = s.config.DB.Transact(ctx, func(tx *postgres.DB) error {
		more = false
		ours, err := tx.TryNotices(ctx)
		if err != nil || !ours {
			return err
		}
		rules, err := tx.ActiveNotificationRules(ctx)
		if err != nil {
			return err
		}
		if more, err = s.match(ctx, tx, rules); err != nil || more {
			return err
		}
		return s.gather(ctx, tx, rules)
	})
	return more, err
}

// match has each new notice wait for each rule that it fits.
func (s *Service) match(ctx context.Context, tx *postgres.DB, rules []constellation.NotificationRule) (more bool, err error) {
	notices, err := tx.NewNotices(ctx, routeBatch)
	if err != nil || len(notices) == 0 {
		return false, err
	}
	told, err := s.told(ctx, tx, rules, notices)
	if err != nil {
		return false, err
	}
	var matches []postgres.NoticeMatch
	for i := range rules {
		r := &rules[i]
		for j := range notices {
			n := &notices[j]
			if !r.Matches(n) {
				continue
			}
			m := postgres.NoticeMatch{RuleID: r.ID, NoticeID: n.ID, Urgent: r.Quiet.Passes(n.Kind), NotBefore: n.At}
			if last, ok := told[toldKey{r.ID, subjectOf(n)}]; ok && n.Kind.State() {
				if again := last.ToldAt.Add(time.Duration(r.RepeatSeconds) * time.Second); again.After(n.At) && !last.ToldAt.After(n.At.Add(clockSlack)) {
					m.NotBefore = again
				}
			}
			matches = append(matches, m)
		}
	}
	return len(notices) == routeBatch, tx.InsertNoticeMatches(ctx, matches, notices)
}

// subjectOf names what a notice is of.
func subjectOf(n *constellation.Notice) string { return n.SubjectKind + "/" + n.SubjectID }

type toldKey struct{ rule, subject string }

// told returns what rules told last of the things that come and go among notices.
func (s *Service) told(ctx context.Context, tx *postgres.DB, rules []constellation.NotificationRule, notices []constellation.Notice) (map[toldKey]postgres.ToldSubject, error) {
	var ids, subjects []string
	for i := range rules {
		ids = append(ids, rules[i].ID)
	}
	for i := range notices {
		if notices[i].Kind.State() {
			subjects = append(subjects, subjectOf(&notices[i]))
		}
	}
	told := map[toldKey]postgres.ToldSubject{}
	if len(ids) == 0 || len(subjects) == 0 {
		return told, nil
	}
	list, err := tx.ToldSubjects(ctx, ids, subjects)
	for _, t := range list {
		told[toldKey{t.RuleID, t.Subject}] = t
	}
	return told, err
}

// gather makes a message of what each rule waited to tell for long enough.
func (s *Service) gather(ctx context.Context, tx *postgres.DB, rules []constellation.NotificationRule) error {
	waiting, err := tx.WaitingRules(ctx)
	if err != nil {
		return err
	}
	now := s.now()
	done := map[string]bool{}
	for _, w := range waiting {
		for i := range rules {
			r := &rules[i]
			if r.ID != w.RuleID || done[r.ID] || !due(r, w, now) {
				continue
			}
			done[r.ID] = true
			if err := s.tell(ctx, tx, r, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// due reports whether what waits is told now. A clock that was set back does not have
// it wait for the hour that comes twice.
func due(r *constellation.NotificationRule, w postgres.WaitingRule, now time.Time) bool {
	if r.Quiet.Active(now) && !w.Urgent {
		return false
	}
	group := time.Duration(r.GroupSeconds) * time.Second
	return !w.Since.Add(group).After(now) || setBack(r, w.Since, now)
}

func setBack(r *constellation.NotificationRule, since, now time.Time) bool {
	return since.After(now.Add(time.Duration(r.RepeatSeconds)*time.Second + clockSlack))
}

// tell makes one message of what a rule may tell now, for each of its destinations.
func (s *Service) tell(ctx context.Context, tx *postgres.DB, r *constellation.NotificationRule, now time.Time) error {
	quiet, by := r.Quiet.Active(now), now
	notices, err := tx.TakeMatches(ctx, r.ID, by, quiet, mostInOne)
	if err == nil && len(notices) == 0 { // of a clock that was set back
		notices, err = tx.TakeMatches(ctx, r.ID, now.AddDate(10, 0, 0), quiet, mostInOne)
	}
	if err != nil {
		return err
	}
	ids := make([]int64, len(notices))
	for i := range notices {
		ids[i] = notices[i].ID
	}
	told, err := s.told(ctx, tx, []constellation.NotificationRule{*r}, notices)
	if err != nil {
		return err
	}
	news := settle(r.ID, notices, told)
	if len(news) > 0 {
		var subjects []postgres.ToldSubject
		for i := range news {
			if news[i].Kind.State() {
				subjects = append(subjects, postgres.ToldSubject{RuleID: r.ID, Subject: subjectOf(&news[i]), Kind: news[i].Kind, ToldAt: now})
			}
		}
		if err := tx.PutToldSubjects(ctx, subjects); err != nil {
			return err
		}
		m := compose(r, news)
		m.Held = !quiet && r.Quiet.Active(news[0].At)
		if err := s.send(ctx, tx, r, m, now); err != nil {
			return err
		}
	}
	return tx.DropNotices(ctx, ids)
}

// send makes a delivery of a message for each of a rule's destinations.
func (s *Service) send(ctx context.Context, tx *postgres.DB, r *constellation.NotificationRule, m *constellation.NoticeMessage, now time.Time) error {
	for _, id := range r.DestinationIDs {
		d, err := tx.Destination(ctx, id)
		if err != nil {
			return err
		}
		delivery := &constellation.Delivery{
			ID: uuid.NewString(), DestinationID: &d.ID, DestinationName: d.Name, RuleName: r.Name, Title: m.Title, Notices: m.Count,
			State: constellation.DeliveryPending, CreatedAt: now,
		}
		pending, err := tx.PendingDeliveries(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case d.Disabled:
			delivery.Error = "the destination was turned off; turn it on and send this again"
		case pending >= mostWaiting:
			delivery.Error = "too many messages wait for the destination already; send this again when it takes them"
		}
		if delivery.Error != "" {
			delivery.State, delivery.FinishedAt = constellation.DeliveryFailed, &now
		}
		if err := tx.InsertDelivery(ctx, delivery, m, now.Add(giveUpAfter)); err != nil {
			return err
		}
		if delivery.State == constellation.DeliveryPending {
			if err := Enqueue(ctx, s.config.Queue, tx, delivery.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
