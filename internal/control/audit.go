package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// target is what a change was made to.
type target struct{ kind, id, name string }

// audit adds a row to the audit log, in the transaction of the change, and
// tells who follows Changes. before
// and after are one of the view structs below, or nil: what they have is all
// that the log gets, and none has a secret or its hash.
func (s *Service) audit(ctx context.Context, p Principal, action string, t target, before, after any) error {
	e := &constellation.Event{
		At: s.now(), Actor: p.Username, ActorKeyID: p.KeyID, Action: action,
		TargetKind: t.kind, TargetID: t.id, TargetName: t.name, Address: p.Address,
	}
	var err error
	if e.Before, err = viewJSON(before); err != nil {
		return err
	}
	if e.After, err = viewJSON(after); err != nil {
		return err
	}
	if err := s.db.InsertEvent(ctx, e); err != nil {
		return err
	}
	return s.notify(ctx, notificationOf(t, before, after))
}

func viewJSON(view any) ([]byte, error) {
	if view == nil {
		return nil, nil
	}
	data, err := json.Marshal(view)
	if err != nil {
		return nil, fmt.Errorf("encode audit row: %w", err)
	}
	return data, nil
}

type accountView struct {
	Username        string             `json:"username"`
	Role            constellation.Role `json:"role"`
	Disabled        bool               `json:"disabled"`
	HasPassword     bool               `json:"has_password"`
	PasswordChanged bool               `json:"password_changed,omitempty"`

	Kind     constellation.AccountKind `json:"kind,omitempty"`     // "" of a person
	Provider string                    `json:"provider,omitempty"` // by which the person signs in
}

func viewAccount(a *constellation.Account) accountView {
	view := accountView{Username: a.Username, Role: a.Role, Disabled: a.Disabled, HasPassword: a.HasPassword, Provider: a.Provider}
	if a.Kind != constellation.KindPerson {
		view.Kind = a.Kind
	}
	return view
}

type keyView struct {
	Name        string                 `json:"name"`
	Prefix      string                 `json:"prefix"`
	Username    string                 `json:"username,omitempty"`
	Role        constellation.Role     `json:"role,omitempty"`
	SatelliteID string                 `json:"satellite_id,omitempty"`
	Scope       constellation.KeyScope `json:"scope,omitempty"`
	Algorithms  []string               `json:"algorithms,omitempty"`
	Rate        constellation.KeyRate  `json:"rate,omitzero"`
	ExpiresAt   *time.Time             `json:"expires_at,omitempty"`
	RevokedAt   *time.Time             `json:"revoked_at,omitempty"`
	CallbackURL string                 `json:"callback_url,omitempty"` // without its query, which may have a secret
}

func viewKey(k *constellation.APIKey) keyView {
	return keyView{
		Name: k.Name, Prefix: k.Prefix, Username: k.Username, Role: k.Role, SatelliteID: k.SatelliteID, Scope: k.Scope,
		ExpiresAt: &k.ExpiresAt, RevokedAt: k.RevokedAt,
	}
}

func viewSatelliteKey(satelliteID string, k *constellation.SatelliteKey) keyView {
	return keyView{
		Name: k.Name, Prefix: k.Prefix, SatelliteID: satelliteID, Algorithms: k.Algorithms, Rate: k.Rate,
		ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt, CallbackURL: withoutQuery(k.CallbackURL),
	}
}

func withoutQuery(url string) string {
	place, _, cut := strings.Cut(url, "?")
	if cut {
		place += "?…"
	}
	return place
}

type versionView struct {
	Algorithm       string                 `json:"algorithm"`
	SemanticVersion string                 `json:"semantic_version,omitempty"`
	Digest          string                 `json:"digest"`
	Runtime         constellation.Runtime  `json:"runtime,omitzero"`
	Weights         *constellation.Weights `json:"weights,omitempty"`
	RuntimeRevision int                    `json:"runtime_revision,omitempty"`
}

func viewVersion(v *constellation.AlgorithmVersion) versionView {
	return versionView{Algorithm: v.Ref().String(), SemanticVersion: v.SemanticVersion, Digest: v.Image.Digest, Runtime: v.Runtime, Weights: v.Weights, RuntimeRevision: v.RuntimeRevision}
}

type satelliteView struct {
	Name       string               `json:"name"`
	ExpiresAt  time.Time            `json:"expires_at"`
	Labels     constellation.Labels `json:"labels,omitempty"`
	Version    int                  `json:"version"`
	Algorithms []algorithmView      `json:"algorithms"`
	Schedules  []scheduleView       `json:"schedules,omitempty"`
}

type algorithmView struct {
	VanityURL string `json:"vanity_url"`
	Algorithm string `json:"algorithm"`
	Replicas  int    `json:"replicas"`

	MinReplicas *int `json:"min_replicas,omitempty"`
	MaxReplicas int  `json:"max_replicas,omitempty"`

	// Env has the sum of each value, by variable: it shows which changed, and a
	// value may be what not every reader of the log is to see.
	Env             map[string]string       `json:"env_sha256,omitempty"`
	EnvFrom         []constellation.EnvFrom `json:"env_from,omitempty"`
	Volumes         []constellation.Volume  `json:"volumes,omitempty"`
	Weights         []weightsView           `json:"weights,omitempty"`
	RuntimeRevision int                     `json:"runtime_revision,omitempty"`
}

func viewAlgorithm(a constellation.SatelliteAlgorithm) algorithmView {
	view := algorithmView{
		VanityURL: a.VanityURL, Algorithm: a.Algorithm.String(), Replicas: a.Replicas, MinReplicas: a.MinReplicas, MaxReplicas: a.MaxReplicas,
		Env: make(map[string]string, len(a.Settings.Env)), EnvFrom: a.Settings.EnvFrom, Volumes: a.Settings.Volumes, Weights: viewWeights(a.Weights), RuntimeRevision: a.RuntimeRevision,
	}
	for name, value := range a.Settings.Env {
		sum := sha256.Sum256([]byte(name + "=" + value))
		view.Env[name] = hex.EncodeToString(sum[:8])
	}
	return view
}

type weightsView struct {
	Artifact string `json:"artifact"`
	Path     string `json:"path"`
}

func viewWeights(mounts []constellation.WeightsMount) []weightsView {
	var views []weightsView
	for _, m := range mounts {
		views = append(views, weightsView{m.Artifact.String(), m.Path})
	}
	return views
}

// scheduleView has an input's sum: it shows that it changed, and an input may
// be long, or have what not every reader of the log is to see.
type scheduleView struct {
	Name        string `json:"name"`
	Cron        string `json:"cron"`
	TimeZone    string `json:"time_zone"`
	VanityURL   string `json:"vanity_url"`
	InputBytes  int    `json:"input_bytes"`
	InputSHA256 string `json:"input_sha256"`
	ContentType string `json:"content_type"`
	Missed      string `json:"missed"`
}

func viewSchedule(s constellation.Schedule) scheduleView {
	sum := sha256.Sum256([]byte(s.Input))
	return scheduleView{
		Name: s.Name, Cron: s.Cron, TimeZone: s.TimeZone, VanityURL: s.VanityURL, InputBytes: len(s.Input), InputSHA256: hex.EncodeToString(sum[:]),
		ContentType: s.ContentType, Missed: s.Missed,
	}
}

func viewSatellite(s *constellation.Satellite) satelliteView {
	view := satelliteView{Name: s.Name, ExpiresAt: s.ExpiresAt, Labels: s.Labels, Version: s.LatestVersion.Number, Algorithms: []algorithmView{}}
	for _, a := range s.LatestVersion.Algorithms {
		view.Algorithms = append(view.Algorithms, viewAlgorithm(a))
	}
	for _, schedule := range s.LatestVersion.Schedules {
		view.Schedules = append(view.Schedules, viewSchedule(schedule))
	}
	return view
}

type launchView struct {
	Name             string               `json:"name"`
	Description      string               `json:"description"`
	SatelliteID      string               `json:"satellite_id"`
	SatelliteVersion int                  `json:"satellite_version"`
	Labels           constellation.Labels `json:"labels,omitempty"`
}

func viewLaunch(l *constellation.Launch) launchView {
	return launchView{Name: l.Name, Description: l.Description, SatelliteID: l.SatelliteID, SatelliteVersion: l.SatelliteVersion, Labels: l.Labels}
}
