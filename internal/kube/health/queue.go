package health

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Queue is what the engines keep of their queue outside of it.
type Queue struct {
	Outstanding uint64      `json:"outstanding"`        // calls that wait or ran, as of Observed
	LastSeq     uint64      `json:"last_seq,omitempty"` // highest number given to a message, as of Observed
	Observed    time.Time   `json:"observed,omitzero"`
	Losses      []QueueLoss `json:"losses,omitempty"`
}

// QueueLoss says that the queue came back without what it held.
type QueueLoss struct {
	At    time.Time `json:"at"`
	Calls uint64    `json:"calls"` // that were accepted and are unaccounted for
}

// Lost returns how many accepted calls are unaccounted for.
func (q *Queue) Lost() uint64 {
	var n uint64
	for _, l := range q.Losses {
		n += l.Calls
	}
	return n
}

// String returns the queue's state in a line.
func (q *Queue) String() string {
	text := "no calls yet"
	if !q.Observed.IsZero() {
		text = fmt.Sprintf("%d calls waited or ran on %s", q.Outstanding, q.Observed.UTC().Format("2006-01-02 15:04Z"))
	}
	if n := len(q.Losses); n > 0 {
		text += fmt.Sprintf("; queue lost: %d accepted calls unaccounted for, last on %s", q.Lost(), q.Losses[n-1].At.UTC().Format("2006-01-02 15:04Z"))
	}
	return text
}

// queueStateKey is what the engines' note stands under in the ConfigMap.
const queueStateKey = "state"

// FindQueue returns what the engines keep of their queue; nil when there is none,
// or the account may not read it.
func FindQueue(ctx context.Context, c *cluster.Cluster) (*Queue, error) {
	object, err := c.Get(ctx, "v1", "ConfigMap", config.QueueState)
	if apierrors.IsForbidden(err) || err == nil && object == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	q := new(Queue)
	if text, _, _ := unstructured.NestedString(object.Object, "data", queueStateKey); text != "" {
		if err := json.Unmarshal([]byte(text), q); err != nil {
			return nil, fmt.Errorf("read %s of ConfigMap/%s: %w", queueStateKey, config.QueueState, err)
		}
	}
	return q, nil
}
