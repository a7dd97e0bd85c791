package notify

import (
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// settle returns what of notices, oldest first, is news to those whom a rule told
// before. Of a thing that comes and goes it is how it is in the end, unless that is
// what they know.
func settle(ruleID string, notices []constellation.Notice, told map[toldKey]postgres.ToldSubject) []constellation.Notice {
	type thing struct {
		first, last int
		several     bool // it was more than one thing meanwhile
	}
	things := map[string]*thing{}
	for i := range notices {
		if !notices[i].Kind.State() {
			continue
		}
		subject := subjectOf(&notices[i])
		t := things[subject]
		if t == nil {
			things[subject] = &thing{first: i, last: i}
			continue
		}
		t.several = t.several || notices[t.last].Kind != notices[i].Kind
		t.last = i
	}
	var news []constellation.Notice
	for i := range notices {
		n := &notices[i]
		if t := things[subjectOf(n)]; n.Kind.State() {
			if i != t.last {
				continue
			}
			known, ok := told[toldKey{ruleID, subjectOf(n)}]
			switch {
			case ok && known.Kind == n.Kind && t.several: // it went and came
				continue
			case !ok && n.Kind.Good() && !notices[t.first].Kind.Good(): // it came and went, and nobody heard of it
				continue
			case ok && n.Kind.Good() && known.Kind.Good() && t.several:
				continue
			}
		}
		news = append(news, *n)
	}
	return news
}
