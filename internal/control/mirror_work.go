package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/notify"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// How mirrors are polled.
const (
	pollGap   = 10 * time.Second // between polls of one, however often they are asked for
	pollLease = 5 * time.Minute  // how long a poll that says nothing is taken to be under way
	pollsOnce = 50
)

// When what a mirror asked for and did not get is asked for again.
const (
	askAgainAfter = time.Hour
	askAgainMost  = 6
)

// ErrPollEnded is returned to who works at a poll of a mirror that was removed, turned
// off, or begun anew.
var ErrPollEnded = constellation.Errorf(constellation.KindNotFound, "this poll has ended")

// BeginPolls begins the polls of mirrors that are due; however many servers ask, each
// begins once.
func (s *Service) BeginPolls(ctx context.Context) error {
	return s.transact(ctx, func(s *Service) error { return s.beginPolls(ctx) })
}

func (s *Service) beginPolls(ctx context.Context) error {
	if s.options.StartPoll == nil {
		return nil // another server does
	}
	now := s.now()
	polls, err := s.db.BeginPolls(ctx, now, now.Add(pollLease), pollsOnce)
	for _, p := range polls {
		if err == nil {
			err = s.options.StartPoll(ctx, s.db, p.ID, p.Round)
		}
	}
	return err
}

// WorkMirror returns a mirror whose poll is under way, or ErrPollEnded.
func (s *Service) WorkMirror(ctx context.Context, id string, round int) (*constellation.Mirror, error) {
	goes, err := s.db.KeepPoll(ctx, id, round, s.now().Add(pollLease))
	if err == nil && !goes {
		err = ErrPollEnded
	}
	if err != nil {
		return nil, err
	}
	return s.db.Mirror(ctx, id)
}

// NoteMirrorTags notes which tags a repository has now, of which those that match are
// given.
func (s *Service) NoteMirrorTags(ctx context.Context, m *constellation.Mirror, matching []string) error {
	return s.transact(ctx, func(s *Service) error {
		if err := s.keepPoll(ctx, m); err != nil {
			return err
		}
		return s.db.NoteMirrorTags(ctx, m.ID, matching, s.now())
	})
}

func (s *Service) keepPoll(ctx context.Context, m *constellation.Mirror) error {
	goes, err := s.db.KeepPoll(ctx, m.ID, m.Round, s.now().Add(pollLease))
	if err == nil && !goes {
		err = ErrPollEnded
	}
	return err
}

// FollowedTags returns the tags that a mirror follows, the newest last.
func (s *Service) FollowedTags(ctx context.Context, m *constellation.Mirror) ([]constellation.MirrorTag, error) {
	tags, err := s.db.MirrorTags(ctx, m.ID, MaxMirrorTagsListed)
	tags = slices.DeleteFunc(tags, func(t constellation.MirrorTag) bool { return t.Gone })
	return constellation.NewestTags(tags, m.Keep), err
}

// MaxMirrorTagsListed is how many tags of a repository a mirror looks at.
const MaxMirrorTagsListed = 10000

// KnowMirrored looks whether the image that a tag has now is a version of the algorithm,
// or was one that somebody removed, which is not made again. One whose import failed for
// want of room or of its registry is asked for again when that may help.
func (s *Service) KnowMirrored(ctx context.Context, m *constellation.Mirror, t *constellation.MirrorTag, digest string) (known, asked bool, err error) {
	err = s.transact(ctx, func(s *Service) error {
		if err := s.keepPoll(ctx, m); err != nil {
			return err
		}
		a, err := s.db.Algorithm(ctx, m.Owner, m.Name)
		if err != nil {
			return err
		}
		id, err := s.db.VersionOfDigest(ctx, a.ID, digest)
		if known = id != "" || t.Digest == digest; err != nil || id == "" {
			return err
		}
		if asked, err = s.askAgain(ctx, m, id, digest); err != nil {
			return err
		}
		return s.db.SetMirrorTag(ctx, m.ID, t.Tag, digest, id, "")
	})
	return known, asked, err
}

// askAgain asks for a version again whose import failed, if that may help.
func (s *Service) askAgain(ctx context.Context, m *constellation.Mirror, versionID, digest string) (bool, error) {
	v, err := s.db.AlgorithmVersionByID(ctx, versionID)
	if err != nil || v.State != constellation.VersionFailed {
		return false, err
	}
	i, err := s.db.Import(ctx, versionID)
	if err != nil {
		return false, err
	}
	switch i.Failure {
	case constellation.FailedRoom:
		if fits, err := s.mayFit(ctx, m.Owner, i.Bytes); err != nil || !fits {
			return false, err
		}
	case constellation.FailedAway:
		if i.EndedAt == nil || s.now().Sub(*i.EndedAt) < askAgainAfter || i.Generation >= askAgainMost {
			return false, nil
		}
	default:
		return false, nil
	}
	_, asked, err := s.ImportVersion(ctx, mirrorPrincipal, ImportRequest{
		Ref: v.Ref(), SemanticVersion: v.SemanticVersion, Image: m.Source + "@" + digest, Runtime: i.Runtime, Mirror: m.Source,
	})
	return asked, err
}

// mayFit reports whether there is room for an image of so many bytes of which nothing is
// here.
func (s *Service) mayFit(ctx context.Context, owner string, bytes int64) (bool, error) {
	room, err := s.db.OwnerRoom(ctx, strings.ToLower(owner))
	if err != nil || room != nil && room.Bytes+bytes > room.Quota {
		return false, err
	}
	if s.options.FreeSpace == nil {
		return true, nil
	}
	free, known := s.options.FreeSpace(ctx)
	return !known || bytes+diskReserve <= free, nil
}

// mirrorPrincipal asks for what mirrors ask for. Whoever made a mirror may be gone.
var mirrorPrincipal = Principal{Username: constellation.ActorSystem, Role: constellation.RoleAdmin}

// AskMirrored has the image that a tag has now imported as a version of the algorithm.
// Under a hash that another image has, it becomes the version of its digest: a version
// never changes. What cannot be one is noted at the tag.
func (s *Service) AskMirrored(ctx context.Context, m *constellation.Mirror, tag, digest string, labels map[string]string) (asked bool, err error) {
	hash, semantic := constellation.MirroredVersion(tag, digest, labels)
	err = s.transact(ctx, func(s *Service) error {
		if err := s.keepPoll(ctx, m); err != nil {
			return err
		}
		ref := constellation.AlgorithmRef{Owner: m.Owner, Name: m.Name, Hash: hash}
		taken, err := s.db.AlgorithmVersionsByRef(ctx, []constellation.AlgorithmRef{ref})
		if err != nil {
			return err
		}
		if len(taken) > 0 {
			ref.Hash = strings.TrimPrefix(digest, "sha256:")
		}
		var v *constellation.AlgorithmVersion
		v, asked, err = s.ImportVersion(ctx, mirrorPrincipal, ImportRequest{Ref: ref, SemanticVersion: semantic, Image: m.Source + "@" + digest, Mirror: m.Source})
		switch constellation.KindOf(err) {
		case "":
			return s.db.SetMirrorTag(ctx, m.ID, tag, digest, v.ID, "")
		case constellation.KindInvalid, constellation.KindConflict:
			return s.db.SetMirrorTag(ctx, m.ID, tag, digest, "", clean(messageOf(err), 1000))
		}
		return err
	})
	return asked, err
}

// EndPoll writes what a poll came to: why is nil when it did all that there was. tell has
// people told that the mirror fails, once a day.
func (s *Service) EndPoll(ctx context.Context, m *constellation.Mirror, why error, next time.Time, tell bool) error {
	now := s.now()
	m.PolledAt, m.NextAt = &now, next
	if m.Failures++; why == nil {
		m.Failures, m.Error = 0, ""
	} else {
		m.Error = clean(messageOf(why), 1000)
	}
	return s.transact(ctx, func(s *Service) error {
		if err := s.db.EndPoll(ctx, m, now.Add(pollGap)); err != nil || why == nil || !tell {
			return err
		}
		return notify.Record(ctx, s.db, notify.Event{
			Kind: constellation.NoticeImportFailed, At: now, Subject: "mirror", ID: m.ID, Name: mirrorTarget(m).name,
			Text: "the mirror of " + m.Source + " for " + m.Algorithm() + " makes no versions: " + m.Error, Once: "mirror/" + m.ID,
		})
	})
}

// MirrorCounts returns how many mirrors there are, by state, for metrics.
func (s *Service) MirrorCounts(ctx context.Context) ([]postgres.MirrorCount, error) {
	return s.db.MirrorCounts(ctx)
}

// errNoRoom is in the error of an import that does not fit.
var errNoRoom = errors.New("no room")

// failureOf is what sort of failure ended an import.
func failureOf(why error) constellation.ImportFailure {
	if errors.Is(why, errNoRoom) {
		return constellation.FailedRoom
	}
	switch constellation.KindOf(why) {
	case constellation.KindUnavailable, constellation.KindRateLimited, constellation.KindUnauthenticated, constellation.KindForbidden, constellation.KindInternal:
		return constellation.FailedAway
	}
	return constellation.FailedImage
}
