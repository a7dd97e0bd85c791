package keyring

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// noon is when these tests happen.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// holding is a ring with keys.json of three keys: "a", "b", and the
// satellite's own, "own".
func holding(standard constellation.KeyRate, ofA constellation.KeyRate) *Ring {
	r := New(standard)
	r.SetFile(&config.Keys{Keys: []config.Key{
		{ID: "1", SHA256: config.HashKey("a"), Rate: ofA},
		{ID: "2", SHA256: config.HashKey("b")},
		{ID: config.InternalKeyID, SHA256: config.HashKey("own")},
	}})
	return r
}

// call finds a key and spends a call with it.
func (r *Ring) call(authorization string, now time.Time) (Key, error) {
	k, err := r.Find([]byte(authorization), now)
	if err != nil {
		return k, err
	}
	return k, k.Spend(now)
}

// works returns which of some keys may call.
func (r *Ring) works(keys ...string) string {
	var out []string
	for _, key := range keys {
		if _, err := r.call("Simple "+key, noon); err == nil {
			out = append(out, key)
		}
	}
	return strings.Join(out, " ")
}

// told are keys as the mothership tells them: the id of each with its key.
func told(version int64, keys ...string) config.Keys {
	k := config.Keys{Version: version}
	for i := 0; i < len(keys); i += 2 {
		k.Keys = append(k.Keys, config.Key{ID: keys[i], SHA256: config.HashKey(keys[i+1])})
	}
	return k
}

// TestTheNewestKeysAreInForce: whatever way keys come, the greater version is
// in force, and nothing goes back.
func TestTheNewestKeysAreInForce(t *testing.T) {
	h := holding(constellation.KeyRate{}, constellation.KeyRate{})
	all := []string{"a", "b", "c", "own"}
	if got := h.works(all...); got != "a b own" {
		t.Errorf("at the start %q work, want those of keys.json", got)
	}
	if !h.Set(told(5, "2", "b", "3", "c")) {
		t.Error("the mothership's keys were not taken")
	}
	if got := h.works(all...); got != "b c own" {
		t.Errorf("after a heartbeat %q work, want a revoked, c new and the satellite's own kept", got)
	}
	if h.Set(told(4, "1", "a")) || h.works(all...) != "b c own" {
		t.Error("older keys of another engine were taken")
	}
	file := func(version int64, keys ...string) *config.Keys {
		k := told(version, append(keys, config.InternalKeyID, "own")...)
		return &k
	}
	if h.SetFile(file(4, "1", "a")) || h.works(all...) != "b c own" {
		t.Errorf("after a deploy of an older plan %q work, want what was told since", h.works(all...))
	}
	if !h.SetFile(file(6, "1", "a")) || h.works(all...) != "a own" {
		t.Errorf("after a deploy of a newer plan %q work, want those of the new keys.json", h.works(all...))
	}
	if h.Set(told(5, "2", "b")) {
		t.Error("keys from before the deploy were taken")
	}
	if !h.Set(told(7)) || h.works(all...) != "own" {
		t.Errorf("with every key revoked %q work, want the satellite's own alone", h.works(all...))
	}
}

// TestRevokedWithoutRoom: a deploy that does not fit takes keys out of the
// keys.json that there is, and the engine knows them from elsewhere too.
func TestRevokedWithoutRoom(t *testing.T) {
	h := holding(constellation.KeyRate{}, constellation.KeyRate{})
	h.Set(told(5, "2", "b", "3", "c"))
	file := told(4, "1", "a", config.InternalKeyID, "own")
	file.Revoked = []string{"2"}
	if h.SetFile(&file) || h.works("a", "b", "c", "own") != "c own" {
		t.Errorf("%q work, want b revoked and the rest as it was told", h.works("a", "b", "c", "own"))
	}
}

// TestKeysThatNobodyCounts: on a laptop keys.json has no version, and what is
// written there last is in force.
func TestKeysThatNobodyCounts(t *testing.T) {
	h := holding(constellation.KeyRate{}, constellation.KeyRate{})
	keys := told(0, "2", "b")
	if !h.SetFile(&keys) || h.works("a", "b") != "b" {
		t.Errorf("after a change of keys.json %q work, want b", h.works("a", "b"))
	}
}

func TestUsedKeys(t *testing.T) {
	h := holding(constellation.KeyRate{}, constellation.KeyRate{})
	h.works("b", "own")
	if diff := cmp.Diff([]string{"2"}, h.TakeUsed()); diff != "" {
		t.Errorf("used (-want +got):\n%s", diff)
	}
	if used := h.TakeUsed(); used != nil {
		t.Errorf("used again = %v, want none since the last report", used)
	}
	h.works("a")
	h.Set(told(1, "1", "a"))
	if used := h.TakeUsed(); !cmp.Equal(used, []string{"1"}) {
		t.Errorf("used after a change of keys = %v, want what was used before it too", used)
	}
}

func TestRateOfKeys(t *testing.T) {
	h := holding(constellation.KeyRate{PerSecond: 1}, constellation.KeyRate{PerSecond: 10, Burst: 3})
	calls := func(key string, n int, now time.Time) (served int, last error) {
		for range n {
			if _, err := h.call(key, now); err == nil {
				served++
			} else {
				last = err
			}
		}
		return served, last
	}
	served, err := calls("a", 5, noon)
	if refusal := new(Refusal); served != 3 || !errors.As(err, &refusal) || refusal.RetryAfter != time.Second {
		t.Errorf("%d of 5 calls at once were served, then %v; want its burst of 3, then a refusal for a second", served, err)
	}
	changed := told(1, "1", "a", "2", "b")
	changed.Keys[0].Rate = constellation.KeyRate{PerSecond: 10, Burst: 3}
	h.Set(changed) // must not give a new burst
	if served, _ := calls("a", 5, noon); served != 0 {
		t.Errorf("a change of other keys let %d more calls through", served)
	}
	if served, _ := calls("a", 5, noon.Add(200*time.Millisecond)); served != 2 {
		t.Errorf("200 ms later %d calls were served, want 2 at 10 a second", served)
	}
	for range 2 {
		h.OnSpent("1", noon.Add(500*time.Millisecond))
	}
	if served, _ := calls("a", 5, noon.Add(500*time.Millisecond)); served != 1 {
		t.Errorf("300 ms and 2 calls at another engine later %d calls were served, want 1", served)
	}
	h.OnSpent("unknown", noon)
	if served, _ := calls("b", 5, noon); served != 1 {
		t.Errorf("%d calls of a key without a rate were served, want 1 by the engine's", served)
	}
	if served, _ := calls("own", 50, noon); served != 50 {
		t.Errorf("%d of 50 calls of the satellite's own algorithms were served, want all", served)
	}
}

// TestTheOwnKeysRate: without one of its own in keys.json it is InternalRate,
// and never that of callers' keys.
func TestTheOwnKeysRate(t *testing.T) {
	h := holding(constellation.KeyRate{PerSecond: 1}, constellation.KeyRate{})
	use := h.uses[config.InternalKeyID]
	if use == nil || use.rate != config.InternalRate || use.limit == nil || use.limit.Burst() != config.InternalRate.Burst {
		t.Errorf("the own key's use is %+v, want it limited to %+v", use, config.InternalRate)
	}
}
