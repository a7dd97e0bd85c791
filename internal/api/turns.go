package api

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

// How many answers to reads one key, and all keys of one account, may have
// under way, until their clients have taken them, and how long another one
// waits for its turn. An account makes keys of its own, so that a bound on keys
// alone would be none.
const (
	turnsOfKey     = 8
	turnsOfAccount = 32
	turnTime       = 10 * time.Second
)

// rateLimitPolicy is what answers say of the turns.
var rateLimitPolicy = fmt.Sprintf(`"key";q=%d;qu="concurrent-requests", "account";q=%d;qu="concurrent-requests"`, turnsOfKey, turnsOfAccount)

// tell puts into an answer's header how many turns there are, and are left to p, after
// what it says of requests.
func (t *turns) tell(h http.Header, p control.Principal, requests ratelimit.Decision) {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := func(name string, slots int) int {
		if taken := t.by[name]; taken != nil {
			return slots - len(taken.slots)
		}
		return slots
	}
	h.Set(ratelimit.PolicyHeader, requests.Policy(rateLimitPolicy))
	h.Set(ratelimit.Header, requests.Left(fmt.Sprintf(`"key";r=%d, "account";r=%d`, left("key "+p.KeyID, turnsOfKey), left("account "+p.Username, turnsOfAccount))))
}

// turns are shares of the server's memory: an answer that is made, or that a
// client takes slowly, has one of its key and one of its account. The zero
// value is ready.
type turns struct {
	mu sync.Mutex
	by map[string]*turnsTaken
}

type turnsTaken struct {
	slots chan struct{}
	users int // that have a slot or wait for one
}

// acquire waits for a turn of p's key and account and returns what releases
// it; KindRateLimited when none comes.
func (t *turns) acquire(ctx context.Context, p control.Principal) (release func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, turnTime, errNoTurn)
	defer cancel()
	key, err := t.claim(ctx, "key "+p.KeyID, turnsOfKey)
	if err != nil {
		return nil, err
	}
	account, err := t.claim(ctx, "account "+p.Username, turnsOfAccount)
	if err != nil {
		key()
		return nil, err
	}
	return func() { account(); key() }, nil
}

var errNoTurn = constellation.Errorf(constellation.KindRateLimited,
	"%d answers to this API key, or %d to its account, are under way and none ends; take them, or ask for fewer at once", turnsOfKey, turnsOfAccount)

// claim waits for one of the slots of a name.
func (t *turns) claim(ctx context.Context, name string, slots int) (release func(), err error) {
	t.mu.Lock()
	if t.by == nil {
		t.by = map[string]*turnsTaken{}
	}
	taken := t.by[name]
	if taken == nil {
		taken = &turnsTaken{slots: make(chan struct{}, slots)}
		t.by[name] = taken
	}
	taken.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if taken.users--; taken.users == 0 {
			delete(t.by, name)
		}
	}
	select {
	case taken.slots <- struct{}{}:
		return func() { <-taken.slots; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
