package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// PollMirror has a mirror polled now, or right after the poll that is under way.
func (s *Service) PollMirror(ctx context.Context, p Principal, id string) (m *constellation.Mirror, err error) {
	err = s.changeMirror(ctx, p, id, func(s *Service, found *constellation.Mirror) error {
		if found.Disabled {
			return constellation.Errorf(constellation.KindConflict, "the mirror of %s is turned off: turn it on first", found.Source)
		}
		if err := s.db.AskPoll(ctx, found.ID, s.now(), pollGap); err != nil {
			return err
		}
		if err := s.audit(ctx, p, "mirror.poll", mirrorTarget(found), nil, nil); err != nil {
			return err
		}
		if err := s.beginPolls(ctx); err != nil {
			return err
		}
		m, err = s.db.Mirror(ctx, found.ID)
		return err
	})
	return m, err
}

// MakeMirrorWebhook makes the secret by which a registry tells a mirror of pushes, in
// place of one that there was. It is not shown again.
func (s *Service) MakeMirrorWebhook(ctx context.Context, p Principal, id string) (m *constellation.Mirror, secret string, err error) {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // which never fails
	secret = base64.RawURLEncoding.EncodeToString(b)
	sum := sha256.Sum256([]byte(secret))
	err = s.changeMirror(ctx, p, id, func(s *Service, found *constellation.Mirror) error {
		m = found
		m.HasWebhook = true
		if err := s.db.SetMirrorSecret(ctx, m.ID, sum[:]); err != nil {
			return err
		}
		return s.audit(ctx, p, "mirror.make_webhook", mirrorTarget(m), nil, nil)
	})
	return m, secret, err
}

// RemoveMirrorWebhook ends the address by which a registry tells a mirror of pushes.
func (s *Service) RemoveMirrorWebhook(ctx context.Context, p Principal, id string) error {
	return s.changeMirror(ctx, p, id, func(s *Service, m *constellation.Mirror) error {
		if !m.HasWebhook {
			return nil
		}
		if err := s.db.SetMirrorSecret(ctx, m.ID, nil); err != nil {
			return err
		}
		return s.audit(ctx, p, "mirror.remove_webhook", mirrorTarget(m), nil, nil)
	})
}

// ToldOfPush hears of a registry, by its secret, that something happened there, and has
// the mirror polled unless that is surely none of its business. It reports whether it
// is.
func (s *Service) ToldOfPush(ctx context.Context, id, secret string, body []byte) (polled bool, err error) {
	unknown := constellation.Errorf(constellation.KindUnauthenticated, "this is no mirror's webhook address, or its secret is another now")
	id, err = parseID("mirror", id)
	if err != nil {
		return false, unknown
	}
	want, err := s.db.MirrorSecret(ctx, id)
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256([]byte(secret))
	if want == nil || subtle.ConstantTimeCompare(sum[:], want) != 1 {
		return false, unknown
	}
	m, err := s.db.Mirror(ctx, id)
	if err != nil {
		return false, err
	}
	if !concerns(m, body) {
		return false, nil
	}
	return true, s.transact(ctx, func(s *Service) error {
		if err := s.db.AskPoll(ctx, m.ID, s.now(), pollGap); err != nil {
			return err
		}
		return s.beginPolls(ctx)
	})
}

// MirrorNotifyPath is where a registry tells a mirror of pushes.
func MirrorNotifyPath(id string) string { return "/v1/mirrors/" + id + "/notify" }
