package pool

import (
	"fmt"
	"testing"
)

// BenchmarkAcquireRelease is what a plain call pays for its slot.
func BenchmarkAcquireRelease(b *testing.B) {
	for _, replicas := range []int{1, 16} {
		b.Run(fmt.Sprint(replicas), func(b *testing.B) {
			p := newPool(4, 100)
			var addresses []string
			for i := range replicas {
				addresses = append(addresses, fmt.Sprint("r", i))
			}
			p.SetReplicas(addresses)
			w := &Waiter{Caller: blocked(nil), Key: "k"}
			b.ReportAllocs()
			for b.Loop() {
				r, err := p.Acquire(w)
				if err != nil {
					b.Fatal(err)
				}
				p.Release(r, ClassSync, OutcomeOK)
			}
		})
	}
}
