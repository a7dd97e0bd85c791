package api

import (
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/httpserve/parking"
)

// heartbeatPath is answered beside Huma: ten thousand launches report here,
// with a token that is no API key, and a heartbeat may have words that a newer
// engine knows and this mothership does not.
const heartbeatPath = "/v1/satellites/{satellite_id}/launches/{launch_id}/heartbeat"

func (s *server) heartbeatRoute(router chi.Router) {
	router.Post(heartbeatPath, func(w http.ResponseWriter, r *http.Request) {
		if err := s.heartbeat(w, r); err != nil {
			if constellation.KindOf(err) == constellation.KindUnauthenticated {
				w.Header().Set("WWW-Authenticate", challenge)
			}
			httpserve.Refuse(w, r, func() { httpserve.WriteError(w, r, err) })
		}
	})
	s.describeHeartbeat()
}

// heartbeatRules let a newer engine report what we do not know. The names that
// we do know count as elsewhere here, though encoding/json takes any case.
var heartbeatRules = jsonRules{
	isNumber: func(string) bool { return false }, names: jsonNames(reflect.TypeFor[apiv1.Heartbeat]()), anyText: true,
}

// jsonNames are the names of a struct's fields, and of those in them.
func jsonNames(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	var names []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(append(names, name), jsonNames(field.Type)...)
	}
	return names
}

func (s *server) heartbeat(w http.ResponseWriter, r *http.Request) error {
	token, err := presentedKey(r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	reporter, err := s.control.AuthenticateLaunch(r.Context(), chi.URLParam(r, "satellite_id"), chi.URLParam(r, "launch_id"), token)
	if err != nil {
		return err
	}
	if err := checkMediaType(r.Header.Get("Content-Type")); err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	select {
	case s.heartbeats <- struct{}{}:
		defer func() { <-s.heartbeats }()
	default:
		return busyWithHeartbeats()
	}
	// A null is what is absent: engines that serve since before send them.
	if _, err := checkJSON(body, heartbeatRules); err != nil {
		return err
	}
	in, err := decodeHeartbeat(body)
	if err != nil {
		return err
	}
	answer, err := s.control.Heartbeat(r.Context(), reporter, readHeartbeat(in))
	if err != nil {
		return err
	}
	out := apiv1.HeartbeatAnswer{
		NextSeconds: int(answer.Next / time.Second), SatelliteVersion: answer.SatelliteVersion, ExpiresAt: answer.ExpiresAt, AccessVersion: answer.AccessVersion,
	}
	for _, c := range answer.Commands {
		out.QueueCommands = append(out.QueueCommands, apiv1.HeartbeatCommand{ID: c.ID, Action: c.Action, RequestIDs: c.RequestIDs})
	}
	if answer.KeysDigest != "" {
		out.Keys = &apiv1.HeartbeatKeys{Digest: answer.KeysDigest, Keys: make([]apiv1.HeartbeatKey, len(answer.Keys))}
		for i, k := range answer.Keys {
			out.Keys.Keys[i] = wireHeartbeatKey(k)
		}
	}
	told, err := json.Marshal(out)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(told)+1))
	_, _ = w.Write(append(told, '\n')) // the launch is gone: nobody to tell
	parking.Park(w, r)                 // until it says more, in half a minute
	return nil
}

// maxHeartbeats is how many heartbeats are taken at once. They wait only while many
// launches report for the first time, as after a region came back: each more would
// cost memory, and come no sooner than when it is told to come again.
const maxHeartbeats = 2000

// busyWithHeartbeats tells launches to come again, not all at once.
func busyWithHeartbeats() error {
	err := constellation.Errorf(constellation.KindRateLimited, "more launches report for the first time than the mothership can store at once; report again when Retry-After says")
	err.RetryAfter = 5*time.Second + rand.N(10*time.Second) //nolint:gosec // spreads load, guards nothing
	return err
}

// decodeHeartbeat reads a body that checkJSON let pass, fast; encoding/json is for
// the sentence about a bad one.
func decodeHeartbeat(body []byte) (*apiv1.Heartbeat, error) {
	in := &apiv1.Heartbeat{}
	if err := jsonv2.Unmarshal(body, in, jsontext.AllowInvalidUTF8(true)); err == nil {
		return in, nil
	}
	*in = apiv1.Heartbeat{}
	err := json.Unmarshal(body, in)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return in, nil
	case errors.As(err, &wrong) && wrong.Field != "":
		return nil, malformed("the body is no heartbeat: %s cannot be a %s", wrong.Field, wrong.Value)
	}
	return nil, malformed("the body is no heartbeat: it is a JSON object")
}

func wireHeartbeatKey(k constellation.SatelliteKey) apiv1.HeartbeatKey {
	return apiv1.HeartbeatKey{ID: k.ID, Name: k.Name, SHA256: k.SHA256, ExpiresAt: utc(k.ExpiresAt), Algorithms: k.Algorithms, Rate: wireKeyRate(k.Rate), CallbackURL: k.CallbackURL}
}

func readHeartbeat(in *apiv1.Heartbeat) *constellation.Heartbeat {
	h := &constellation.Heartbeat{
		Engine: in.Engine, Sequence: in.Sequence, SatelliteVersion: in.SatelliteVersion, SystemVersion: in.SystemVersion,
		KeysDigest: in.KeysDigest, KeysUsed: in.KeysUsed, Work: readWork(in),
		CommandsDone: mapped(in.CommandsDone, func(e apiv1.HeartbeatCommandEnd) constellation.CommandEnd { return constellation.CommandEnd(e) }),
		Algorithms:   make([]constellation.AlgorithmState, len(in.Algorithms)), Engines: make([]constellation.EngineCounts, len(in.Engines)),
	}
	for i, a := range in.Algorithms {
		h.Algorithms[i] = readAlgorithmState(a)
	}
	for i, e := range in.Engines {
		counts := make(map[string]*constellation.Tally, len(e.Counts))
		for _, c := range e.Counts {
			counts[c.VanityURL] = &constellation.Tally{Calls: c.Calls, Errors: maps.Clone(c.Errors), Latency: c.Latency}
		}
		h.Engines[i] = constellation.EngineCounts{ID: e.ID, StartedAt: e.StartedAt, Counts: counts}
	}
	return h
}

func readAlgorithmState(a apiv1.HeartbeatAlgorithm) constellation.AlgorithmState {
	return constellation.AlgorithmState{
		VanityURL: a.VanityURL, Wanted: a.Wanted, Ready: a.Ready, Queued: a.Queued, InFlight: a.InFlight, Reason: a.Reason,
		Desired: a.Desired, MinReplicas: a.MinReplicas, MaxReplicas: a.MaxReplicas,
	}
}

// describeHeartbeat puts the route into the document.
func (s *server) describeHeartbeat() {
	op := operation(s, tagLaunches, "POST "+heartbeatPath, launchToken, "heartbeat", "Report how a launch instance does; by the satellite")
	schemas := s.api.OpenAPI().Components.Schemas
	media := func(t reflect.Type) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{"application/json": {Schema: schemas.Schema(t, true, "")}}
	}
	op.Parameters = []*huma.Param{ // an Idempotency-Key has no use here
		{Name: "satellite_id", In: "path", Required: true, Description: "The satellite's UUID.", Schema: &huma.Schema{Type: huma.TypeString}},
		{Name: "launch_id", In: "path", Required: true, Description: "The launch instance's UUID.", Schema: &huma.Schema{Type: huma.TypeString}},
	}
	op.RequestBody = &huma.RequestBody{Required: true, Content: media(reflect.TypeFor[apiv1.Heartbeat]())}
	op.Responses[strconv.Itoa(http.StatusOK)] = &huma.Response{
		Description: "It is taken; the first of a launch is stored.", Content: media(reflect.TypeFor[apiv1.HeartbeatAnswer]()),
	}
	s.api.OpenAPI().AddOperation(&op)
}

func wireReport(r *constellation.LaunchReport, l *constellation.Launch) *apiv1.LaunchReport {
	if r == nil {
		return nil
	}
	report := &apiv1.LaunchReport{
		Engine: r.Engine, IntervalSeconds: l.ReportSeconds,
		Engines: make([]apiv1.LaunchEngine, len(r.Engines)), Algorithms: make([]apiv1.LaunchAlgorithm, len(r.Algorithms)),
		Queue: wireQueue(r.Work.Queue), Schedules: mapped(r.Work.Schedules, wireScheduleState), DeadLetters: mapped(r.Work.DeadLetters, wireDeadLetter),
		Commands: mapped(r.Commands, wireCommand),
	}
	for i, e := range r.Engines {
		report.Engines[i] = apiv1.LaunchEngine{ID: e.ID, StartedAt: e.StartedAt.UTC()}
	}
	for i, a := range r.Algorithms {
		report.Algorithms[i] = apiv1.LaunchAlgorithm{
			VanityURL: a.VanityURL, Wanted: a.Wanted, Ready: a.Ready, Queued: a.Queued, InFlight: a.InFlight, Reason: a.Reason,
			Desired: a.Desired, MinReplicas: a.MinReplicas, MaxReplicas: a.MaxReplicas,
			Day: wireCounts(a.Day), Ever: wireCounts(a.Ever),
		}
	}
	return report
}

func wireCounts(c constellation.CallCounts) apiv1.CallCounts {
	errors := c.ErrorsByType
	if errors == nil {
		errors = map[string]int64{}
	}
	return apiv1.CallCounts{
		Calls: c.Calls, Errors: c.Errors, ErrorsByType: errors, P50: c.P50.Seconds(), P95: c.P95.Seconds(), P99: c.P99.Seconds(),
	}
}

func wireHistory(h *constellation.LaunchHistory) apiv1.LaunchHistory {
	out := apiv1.LaunchHistory{
		ResolutionSeconds: int(h.Resolution / time.Second), From: h.From.UTC(), To: h.To.UTC(), Points: make([]apiv1.LaunchPoint, len(h.Points)),
	}
	for i, p := range h.Points {
		out.Points[i] = apiv1.LaunchPoint{At: p.At.UTC(), Heartbeats: p.Heartbeats, Ready: p.Ready, Wanted: p.Wanted, CallCounts: wireCounts(p.CallCounts)}
	}
	return out
}

// launchToken stands in the document where others have the role they need.
const launchToken constellation.Role = "launch token"
