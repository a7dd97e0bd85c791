package control

import (
	"context"
	"fmt"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/ratelimit"
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

// throttledAs are what people are told of addresses that are throttled.
var throttledAs = map[ratelimit.Name]struct{ name, text string }{
	ratelimit.SignIn:    {"sign-ins by a provider, set-ups and invitations", "they are refused for a while, since there were too many"},
	ratelimit.Exchanges: {"tokens to be exchanged", "they are refused for a while, since there were too many; a CI may ask for a key at each step, where one an hour does"},
	ratelimit.WrongKey:  {"API keys that are wrong, revoked or expired", "they are not looked at for a while, since there were too many; right keys from there still work"},
}

// TellThrottled has people told of an address whose requests a limit refuses, once an
// hour for each. What it cannot tell is in the log.
func (s *Service) TellThrottled(ctx context.Context, limit ratelimit.Name, address string) {
	as, ok := throttledAs[limit]
	if !ok {
		return
	}
	s.options.Log.WarnContext(ctx, "an address is throttled", "limit", limit, "address", address)
	err := notify.Record(ctx, s.db, notify.Event{
		Kind: constellation.NoticeSignInThrottled, At: s.now(), Subject: "address", ID: address, Name: as.name + " from " + address,
		Once: string(limit) + "/" + address, OnceFor: failureMemory, Text: as.text,
	})
	if err != nil {
		s.options.Log.WarnContext(ctx, "tell of an address that is throttled", "address", address, "error", err)
	}
}
