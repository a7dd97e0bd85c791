package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// tellThrottled has people told of a count of login failures with which the next ones
// begin to wait, once an hour for each.
func (s *Service) tellThrottled(ctx context.Context, counts []postgres.LoginFailures, username, from string) error {
	for _, c := range counts {
		if c.Failures+1 != limitOf(c).free || s.now().Sub(c.LastFailedAt) > failureMemory {
			continue
		}
		who := "of " + username
		place := "from " + from
		if strings.HasPrefix(from, devicePlace) {
			place = "from a device of the account's own"
		}
		switch {
		case c.Username == "":
			who = ""
		case c.Address == "":
			place = "from several addresses"
		}
		what := strings.Join(strings.Fields("sign-ins "+who+" "+place), " ")
		err := notify.Record(ctx, s.db, notify.Event{
			Kind: constellation.NoticeSignInThrottled, At: s.now(), Subject: "account", ID: c.Username, Name: what, Once: c.Username + "/" + c.Address, OnceFor: failureMemory,
			Text: fmt.Sprintf("%d passwords in a row were wrong, and the next ones wait; the audit log has who and from where", c.Failures+1),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
