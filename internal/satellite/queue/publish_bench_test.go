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
// same run.
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
	for _, callers := range []int{1, 16, 64} {
		for name, publish := range map[string]func() error{
			"calls": func() error {
				_, err := q.Publish(b.Context(), Message{Kind: KindCall, Algorithm: "foo/bar", ID: fmt.Sprint(ids.Add(1)), Data: data})
				return err
			},
			"plain": func() error {
				_, err := q.js.Publish(b.Context(), "plain", data, jetstream.WithMsgID(fmt.Sprint(ids.Add(1))))
				return err
			},
		} {
			b.Run(fmt.Sprintf("%s-%d", name, callers), func(b *testing.B) {
				var next atomic.Int64
				failed := make(chan error, callers)
				begin := time.Now()
				for range callers {
					go func() {
						for next.Add(1) <= int64(b.N) {
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
				b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "accepted/s")
			})
		}
	}
}
