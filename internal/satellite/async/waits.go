package async

import (
	"net/http"
	"sync"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// Each request that waits for the end of a call holds a connection, and looks at
// the call every few seconds.
const (
	maxWaits    = 4096
	maxKeyWaits = 1024 // of one API key
)

// waits counts the requests that wait.
type waits struct {
	most, mostOfKey int

	mu    sync.Mutex
	all   int
	byKey map[string]int
}

// begin counts one more, and reports false when there are too many.
func (w *waits) begin(keyID string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all >= w.most || w.byKey[keyID] >= w.mostOfKey {
		return false
	}
	w.all++
	w.byKey[keyID]++
	return true
}

// end takes one off that began.
func (w *waits) end(keyID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.byKey[keyID]--; w.byKey[keyID] == 0 {
		delete(w.byKey, keyID)
	}
}

func tooManyWait() *protocol.Failure {
	return &protocol.Failure{
		Status: http.StatusTooManyRequests, Outcome: protocol.OutcomeFull, RetryAfter: 1,
		Message: "too many requests wait for the ends of calls; ask without 'wait', or for fewer calls at a time",
	}
}
