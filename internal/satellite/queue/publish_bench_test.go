package queue

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// BenchmarkPublish has calls accepted beside a plain JetStream publisher, with
// the same replication and every write synced, on the same three nodes in the
// same run: both take turns, so that a machine that is busy meanwhile is so for both.
func BenchmarkPublish(b *testing.B) {
	_, q := startCluster(b, Options{})
	_, err := q.js.CreateStream(b.Context(), jetstream.StreamConfig{
		Name: "plain", Subjects: []string{"plain"}, Storage: jetstream.FileStorage, Replicas: 3, Duplicates: dedupWindow,
	})
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 512)
	var ids atomic.Int64
	calls := func() error {
		_, err := q.Publish(b.Context(), Message{Kind: KindCall, Algorithm: "foo/bar", ID: fmt.Sprint(ids.Add(1)), Data: data})
		return err
	}
	plain := func() error {
		_, err := q.js.Publish(b.Context(), "plain", data, jetstream.WithMsgID(fmt.Sprint(ids.Add(1))))
		return err
	}
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers-%d", callers), func(b *testing.B) {
			const turns = 10
			var ours, theirs time.Duration
			n := (b.N + turns - 1) / turns
			for range turns {
				theirs += publishing(b, callers, n, plain)
				ours += publishing(b, callers, n, calls)
			}
			b.ReportMetric(float64(turns*n)/ours.Seconds(), "accepted/s")
			b.ReportMetric(float64(turns*n)/theirs.Seconds(), "plain/s")
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "of-plain")
		})
	}
}

// publishing returns how long it takes to publish n times, by so many at once.
func publishing(b *testing.B, callers, n int, publish func() error) time.Duration {
	var next atomic.Int64
	failed := make(chan error, callers)
	begin := time.Now()
	for range callers {
		go func() {
			for next.Add(1) <= int64(n) {
				if err := publish(); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range callers {
		if err := <-failed; err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begin)
}
