package control

import (
	"context"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// draftMemory is how long a draft that nobody touches is kept.
const draftMemory = 30 * 24 * time.Hour

// maxDraftText is the most characters of one field of a draft.
const maxDraftText = 2000

// SatelliteDraft returns one of the caller's own drafts.
func (s *Service) SatelliteDraft(ctx context.Context, p Principal, id string) (*constellation.SatelliteDraft, error) {
	id, err := s.ownDraft(p, id)
	if err != nil {
		return nil, err
	}
	return s.db.SatelliteDraft(ctx, p.AccountID, id)
}

// KeepSatelliteDraft stores what is typed into the form of a satellite; the
// caller chooses the draft's id, a UUID.
func (s *Service) KeepSatelliteDraft(ctx context.Context, p Principal, d *constellation.SatelliteDraft) error {
	id, err := s.ownDraft(p, d.ID)
	if err != nil {
		return err
	}
	kept := *d
	kept.ID, kept.Name = id, clean(d.Name, maxDraftText)
	kept.Labels, kept.BaseLabels = keptText(d.Labels), keptText(d.BaseLabels)
	if len(d.Algorithms) > constellation.MaxAlgorithms {
		return constellation.Errorf(constellation.KindInvalid, "a satellite has at most %d algorithms; these are %d", constellation.MaxAlgorithms, len(d.Algorithms))
	}
	kept.Algorithms = make([]constellation.DraftAlgorithm, len(d.Algorithms))
	for i, a := range d.Algorithms {
		kept.Algorithms[i] = constellation.DraftAlgorithm{
			Algorithm: clean(a.Algorithm, maxDraftText), VanityURL: clean(a.VanityURL, maxDraftText), Replicas: clean(a.Replicas, 20),
			MinReplicas: clean(a.MinReplicas, 20), MaxReplicas: clean(a.MaxReplicas, 20), Settings: keptSettings(a.Settings),
			Weights: keptSettings(constellation.PodSettingsText{Volumes: a.Weights}).Volumes, RuntimeRevision: a.RuntimeRevision,
		}
	}
	if kept.Schedules, err = keptSchedules(d.Schedules); err != nil {
		return err
	}
	if kept.SatelliteID != "" {
		if kept.SatelliteID, err = parseID("satellite", kept.SatelliteID); err != nil {
			return err
		}
	}
	ok, err := s.db.KeepSatelliteDraft(ctx, p.AccountID, &kept, s.now())
	if err == nil && !ok {
		err = constellation.Errorf(constellation.KindNotFound, "there is no draft %s of yours", id)
	}
	return err
}

// maxDraftSettings is the most characters of one part of a line's settings: more
// than its version may have.
const maxDraftSettings = 2 * constellation.MaxEnvBytes

// keptSettings are a line's settings as they are stored: text that was not looked
// at, without what PostgreSQL cannot keep.
func keptSettings(t constellation.PodSettingsText) constellation.PodSettingsText {
	return constellation.PodSettingsText{Env: keptText(t.Env), EnvFrom: keptText(t.EnvFrom), Volumes: keptText(t.Volumes)}
}

// keptText is text of several lines as it is stored.
func keptText(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	return text[:min(len(text), maxDraftSettings)]
}

// keptSchedules are a draft's schedules as they are stored: those that were
// checked when they came into it.
func keptSchedules(schedules []constellation.Schedule) ([]constellation.Schedule, error) {
	var v constellation.Validation
	vanityURLs := make([]string, len(schedules)) // an algorithm may come and go while one edits
	for i, schedule := range schedules {
		vanityURLs[i] = schedule.VanityURL
	}
	constellation.CheckSchedules(&v, "schedules", schedules, vanityURLs)
	return schedules, v.Err()
}

// DropSatelliteDraft forgets one of the caller's own drafts.
func (s *Service) DropSatelliteDraft(ctx context.Context, p Principal, id string) error {
	id, err := s.ownDraft(p, id)
	if err != nil {
		return err
	}
	return s.db.DropSatelliteDraft(ctx, p.AccountID, id)
}

func (s *Service) ownDraft(p Principal, id string) (string, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "editing a satellite"); err != nil {
		return "", err
	}
	if p.AccountID == "" {
		return "", constellation.Errorf(constellation.KindForbidden, "drafts belong to accounts; sign in")
	}
	return parseID("draft", id)
}
