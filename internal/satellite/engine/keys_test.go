package engine

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// noon is when these tests happen.
var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// holding is a keyholder with keys.json of three keys: "a", "b", and the
// satellite's own, "own".
func holding(standard constellation.KeyRate, ofA constellation.KeyRate) *keyholder {
	h := &keyholder{ring: new(atomic.Pointer[keyring]), rate: standard}
	h.takeFile(&config.Keys{Keys: []config.Key{
		{ID: "1", SHA256: config.HashKey("a"), Rate: ofA},
		{ID: "2", SHA256: config.HashKey("b")},
		{ID: config.InternalKeyID, SHA256: config.HashKey("own")},
	}}, noon)
	return h
}

// works says which of some keys may call.
func (h *keyholder) works(keys ...string) string {
	var out []string
	for _, key := range keys {
		if _, f := (*h.ring.Load()).find([]byte("Simple "+key), noon); f == nil {
			out = append(out, key)
		}
	}
	return strings.Join(out, " ")
}

func live(id, key string) apiv1.HeartbeatKey {
	return apiv1.HeartbeatKey{ID: id, SHA256: config.HashKey(key)}
}

func TestTheNewestKeysAreInForce(t *testing.T) {
	h := holding(constellation.KeyRate{}, constellation.KeyRate{})
	all := []string{"a", "b", "c", "own"}
	if got := h.works(all...); got != "a b own" {
		t.Errorf("at the start %q work, want those of keys.json", got)
	}
	if !h.takeLive([]apiv1.HeartbeatKey{live("2", "b"), live("3", "c")}, noon) {
		t.Error("the mothership's keys were not taken")
	}
	if got := h.works(all...); got != "b c own" {
		t.Errorf("after a heartbeat %q work, want a revoked, c new and the satellite's own kept", got)
	}
	if h.takeLive([]apiv1.HeartbeatKey{live("1", "a")}, noon.Add(-time.Second)) || h.works(all...) != "b c own" {
		t.Error("older keys of another engine were taken")
	}
	h.takeFile(&config.Keys{Keys: []config.Key{{ID: "1", SHA256: config.HashKey("a")}, {ID: config.InternalKeyID, SHA256: config.HashKey("own")}}}, noon.Add(time.Minute))
	if got := h.works(all...); got != "a own" {
		t.Errorf("after a deploy %q work, want those of the new keys.json", got)
	}
	if h.takeLive([]apiv1.HeartbeatKey{live("2", "b")}, noon.Add(30*time.Second)) {
		t.Error("keys from before the deploy were taken")
	}
	if !h.takeLive(nil, noon.Add(2*time.Minute)) || h.works(all...) != "own" {
		t.Errorf("with every key revoked %q work, want the satellite's own alone", h.works(all...))
	}
}

func TestReportOfKeys(t *testing.T) {
	h := holding(constellation.KeyRate{}, constellation.KeyRate{})
	h.works("b", "own")
	keys, at, used := h.report()
	if diff := cmp.Diff([]apiv1.HeartbeatKey{live("1", "a"), live("2", "b")}, keys); diff != "" || !at.IsZero() {
		t.Errorf("keys at %v, want zero (-want +got):\n%s", at, diff)
	}
	if diff := cmp.Diff([]string{"2"}, used); diff != "" {
		t.Errorf("used (-want +got):\n%s", diff)
	}
	if _, _, used := h.report(); used != nil {
		t.Errorf("used again = %v, want none since the last report", used)
	}
	h.works("a")
	h.takeLive([]apiv1.HeartbeatKey{live("1", "a")}, noon)
	if _, _, used := h.report(); !cmp.Equal(used, []string{"1"}) {
		t.Errorf("used after a change of keys = %v, want what was used before it too", used)
	}
}

func TestRateOfKeys(t *testing.T) {
	h := holding(constellation.KeyRate{PerSecond: 1}, constellation.KeyRate{PerSecond: 10, Burst: 3})
	calls := func(key string, n int, now time.Time) (served int, last *failure) {
		for range n {
			if _, f := (*h.ring.Load()).find([]byte(key), now); f == nil {
				served++
			} else {
				last = f
			}
		}
		return served, last
	}
	served, f := calls("a", 5, noon)
	if served != 3 || f == nil || f.status != 429 || f.retryAfter != 1 {
		t.Errorf("%d of 5 calls at once were served, then %+v; want its burst of 3, then 429", served, f)
	}
	limited := live("1", "a")
	limited.Rate = &apiv1.KeyRate{PerSecond: 10, Burst: 3}
	h.takeLive([]apiv1.HeartbeatKey{limited, live("2", "b")}, noon) // must not give a new burst
	if served, _ := calls("a", 5, noon); served != 0 {
		t.Errorf("a change of other keys let %d more calls through", served)
	}
	if served, _ := calls("a", 5, noon.Add(200*time.Millisecond)); served != 2 {
		t.Errorf("200 ms later %d calls were served, want 2 at 10 a second", served)
	}
	for range 2 {
		h.spent("1", noon.Add(500*time.Millisecond))
	}
	if served, _ := calls("a", 5, noon.Add(500*time.Millisecond)); served != 1 {
		t.Errorf("300 ms and 2 calls at another engine later %d calls were served, want 1", served)
	}
	h.spent("unknown", noon)
	if served, _ := calls("b", 5, noon); served != 1 {
		t.Errorf("%d calls of a key without a rate were served, want 1 by the engine's", served)
	}
	if served, _ := calls("own", 50, noon); served != 50 {
		t.Errorf("%d of 50 calls of the satellite's own algorithms were served, want all", served)
	}
}

func TestExpiryWarning(t *testing.T) {
	at := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	w := newExpiryWarning(at)
	for now, want := range map[time.Time]string{
		at.AddDate(0, 0, -31): "",
		at.AddDate(0, 0, -29): "satellite expires on 2027-01-31",
		at.Add(-time.Second):  "satellite expires on 2027-01-31",
		at:                    "satellite expired on 2027-01-31",
		at.AddDate(1, 0, 0):   "satellite expired on 2027-01-31",
	} {
		if got := w.text(now); got != want {
			t.Errorf("warning at %v = %q, want %q", now, got, want)
		}
	}
	never := newExpiryWarning(time.Time{})
	if got := never.text(at); got != "" {
		t.Errorf("warning of a satellite that never expires = %q", got)
	}
}
