package config

import (
	"cmp"
	"encoding/json"
	"errors"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// decodeRoute reads one route. A schedule that cannot be used is refused alone:
// its algorithm is served.
func decodeRoute(raw json.RawMessage, sieve *sieve) (Route, error) {
	var file struct {
		Route
		Schedules json.RawMessage `json:"schedules"`
	}
	err := decodePart(raw, &file)
	route := file.Route
	route.Schedules = nil
	if err != nil || len(file.Schedules) == 0 {
		return route, err
	}
	var schedules []json.RawMessage
	if json.Unmarshal(file.Schedules, &schedules) != nil {
		sieve.refuse(0, route.VanityURL+" schedules", errors.New("schedules are a list of objects"))
		return route, nil
	}
	own := newSieve("schedules")
	for i, raw := range schedules {
		var schedule constellation.Schedule
		if err := decodePart(raw, &schedule); err != nil {
			own.refuse(i, schedule.Name, err)
			continue
		}
		schedule.VanityURL = cmp.Or(schedule.VanityURL, route.VanityURL)
		schedule = schedule.WithDefaults()
		if own.passes(i, schedule.Name, func(v *constellation.Validation) { checkSchedule(v, schedule, route.VanityURL, i) }) {
			route.Schedules = append(route.Schedules, schedule)
		}
	}
	for _, part := range own.refused {
		sieve.refused = append(sieve.refused, Refused{Name: route.VanityURL + " schedule " + part.Name, Reason: part.Reason})
	}
	return route, nil
}

// checkSchedule holds schedule i of the route at vanityURL to the rules. Its
// cron expression is read by who runs it.
func checkSchedule(v *constellation.Validation, s constellation.Schedule, vanityURL string, i int) {
	if i >= constellation.MaxSchedules {
		v.Add("schedules", "an algorithm has at most %d schedules", constellation.MaxSchedules)
		return
	}
	s.Check(v, "schedule")
	if s.VanityURL != vanityURL {
		v.Add("schedule.vanity_url", "it stands beside %s and names %s", vanityURL, s.VanityURL)
	}
}
