package component

import "github.com/constellation-serving/constellation/internal/constellation"

// LaunchStatus returns how a launch does, as a shape and a word.
func LaunchStatus(l *constellation.Launch) Status {
	s := Status{Mark: "–", Word: "Never seen", Tone: "off", Why: l.StatusReason}
	switch l.Status {
	case constellation.LaunchUp:
		s.Mark, s.Word, s.Tone = "●", "Up", "good"
	case constellation.LaunchDegraded:
		s.Mark, s.Word, s.Tone = "◐", "Degraded", "warn"
	case constellation.LaunchStale:
		s.Mark, s.Word, s.Tone = "○", "Stale", "bad"
	}
	return s
}
