package install

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/registry"
)

// KeptImage is an image that a removal leaves in the registry.
type KeptImage struct {
	Image  string   `json:"image"`
	UsedBy []string `json:"used_by"` // launches that use it, or why it is not known who does
}

// unclaimed is what a removal may delete from the registry, and what not.
type unclaimed struct {
	free   []string // images that no other launch uses, with their digest
	kept   []KeptImage
	own    []registry.Claim // of the launch that is removed
	unsure string           // why nothing can be deleted with certainty
}

// unclaimed finds out which of the images that the launch has claimed, for any
// version, nobody else has. What the registry does not tell is why nothing is
// deleted, and no error. A claim of a machine that knew no cluster is of the
// launch that is installed where the configuration says; when it is not, it is
// of one elsewhere.
func (s *session) unclaimed(ctx context.Context, installed bool) (*unclaimed, error) {
	if err := s.registry.Connect(ctx); err != nil {
		return nil, s.registry.WhyNot(ctx, err, "see which images are used")
	}
	result, err := s.readClaims(ctx, installed)
	var e *fault.Error
	switch {
	case err == nil:
		return result, nil
	case errors.Is(err, registry.ErrNoTags), errors.As(err, &e) && e.Code == fault.CodeIntegrity:
		return &unclaimed{unsure: err.Error()}, nil
	}
	return nil, s.registry.WhyNot(ctx, err, "see which images are used")
}

func (s *session) readClaims(ctx context.Context, installed bool) (*unclaimed, error) {
	repository, err := s.claimsIn()
	if err != nil {
		return nil, err
	}
	tags, err := s.registry.Tags(ctx, repository)
	if err != nil {
		return nil, err
	}
	claims, err := s.registry.Claims(ctx, repository, tags)
	if err != nil {
		return nil, err
	}
	users, claimed := map[string][]string{}, map[string]bool{}
	result := &unclaimed{}
	server, namespace := s.place()
	var images []string
	for _, c := range claims {
		own := c.OfLaunch(s.launch.Folder.LaunchID, server, namespace) && (installed || c.Namespace != "")
		for _, name := range c.Images {
			claimed[name] = true
			if !own {
				users[name] = append(users[name], c.User())
			}
		}
		for _, name := range c.Found {
			users[name] = append(users[name], "somebody: it was there before any launch claimed it")
		}
		if own {
			result.own, images = append(result.own, c), append(images, c.Images...)
		}
	}
	if len(result.own) == 0 {
		return &unclaimed{unsure: "this launch has claimed no image there, as an older algo-install pushed it or the registry took no claim"}, nil
	}
	if result.unsure, err = s.unclaimedImages(ctx, repository, tags, claimed); err != nil || result.unsure != "" {
		return result, err
	}
	slices.Sort(images)
	for _, name := range slices.Compact(images) {
		image := s.registry.Host() + "/" + name
		if by := users[name]; len(by) > 0 {
			result.kept = append(result.kept, KeptImage{image, by})
			continue
		}
		result.free = append(result.free, image)
	}
	return result, nil
}

// unclaimedImages finds an image beside the claims that none of them names: a launch
// was pushed there without one, and what else that uses is not known.
func (s *session) unclaimedImages(ctx context.Context, repository string, tags []string, claimed map[string]bool) (string, error) {
	for _, tag := range tags {
		if registry.ClaimTag.MatchString(tag) {
			continue
		}
		digest, err := s.registry.Resolve(ctx, repository, tag)
		if err != nil {
			return "", err
		}
		if digest != "" && !claimed[repository+"@"+digest] {
			return fmt.Sprintf("%s/%s:%s was pushed there without a claim, and what its launch uses is not known", s.registry.Host(), repository, tag), nil
		}
	}
	return "", nil
}

// removeImages deletes what was shown, unless somebody claimed it since, and
// last the launch's own claims, so that a removal that is cut off can be
// repeated.
func (s *session) removeImages(ctx context.Context, result *RemoveResult, installed bool) error {
	now, err := s.unclaimed(ctx, installed)
	if err != nil {
		return err
	}
	if now.unsure != "" {
		result.Images, result.Unsure = nil, now.unsure
		return nil
	}
	result.Images = slices.DeleteFunc(result.Images, func(image string) bool { return !slices.Contains(now.free, image) })
	result.Kept = now.kept
	for _, image := range result.Images {
		if err := s.registry.Delete(ctx, image); err != nil {
			return err
		}
		s.report.Line("deleted %s", image)
	}
	repository, err := s.claimsIn()
	if err != nil {
		return err
	}
	for _, c := range now.own {
		digest, err := s.registry.Resolve(ctx, repository, c.Tag)
		if err != nil {
			return s.registry.WhyNot(ctx, err, "delete the launch's claim")
		}
		if digest == "" {
			continue
		}
		if err := s.registry.Delete(ctx, s.registry.Host()+"/"+repository+"@"+digest); err != nil {
			return err
		}
	}
	return nil
}
