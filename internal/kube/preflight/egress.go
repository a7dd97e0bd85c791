package preflight

import (
	"maps"
	"slices"
)

// egressCheck is the name of the check of what algorithms may reach.
const egressCheck = "egress"

// egress finds names that no policy can open, and says how the others are opened.
func (p *preflight) egress() {
	lists := p.input.Settings.Egress
	for _, vanityURL := range slices.Sorted(maps.Keys(lists)) {
		if !p.hasAlgorithm(vanityURL) {
			p.note(egressCheck, Warning, "", "stage.egress.%s is for an algorithm that this launch does not have", vanityURL)
		}
	}
	broken := false
	for _, name := range slices.Sorted(maps.Keys(p.input.Settings.EgressNames)) {
		if problem := p.input.Settings.EgressNames[name].Problem; problem != "" {
			broken = true
			p.note(egressCheck, Problem, "correct stage.egress, or give the address in place of the name", "%s", problem)
		}
	}
	if broken {
		return
	}
	for _, told := range p.input.Egress() {
		p.note(egressCheck, OK, "", "%s", told)
	}
}
