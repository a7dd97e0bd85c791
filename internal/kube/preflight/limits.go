package preflight

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/room"
)

// limitRanges reads the namespace's, once; none when they may not be read.
func (p *preflight) limitRanges(ctx context.Context) {
	if list, err := p.cluster.Typed.CoreV1().LimitRanges(p.namespaceName()).List(ctx, metav1.ListOptions{}); err == nil {
		p.ranges = list.Items
	}
}

// limits finds the pods that a LimitRange refuses. Deployments are taken all
// the same: only their pods would never come.
func (p *preflight) limits() {
	const name = "limits"
	if len(p.ranges) == 0 {
		return
	}
	var refused []string
	var advice []room.Setting
	for _, g := range p.groups(nil) {
		if g.Refused == "" {
			continue
		}
		refused = append(refused, g.Key()+": "+g.Refused)
		advice = append(advice, p.ranges.AdviseWithin(g)...)
	}
	if len(refused) == 0 {
		p.note(name, OK, "", "the LimitRanges of namespace %s admit every pod", p.namespaceName())
		return
	}
	fix := "have the LimitRange changed"
	if len(advice) > 0 {
		fix = room.Configure(advice) + "; or " + fix
	}
	p.note(name, Problem, fix, "a LimitRange of namespace %s refuses pods of %s", p.namespaceName(), strings.Join(refused, "; "))
}
