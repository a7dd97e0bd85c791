package claim

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/registry"
)

// Kept is an image that a removal leaves in the registry.
type Kept struct {
	Image  string   `json:"image"`
	UsedBy []string `json:"used_by"` // launches that use it, or why it is not known who does
}

// Unclaimed is what a removal may delete from the registry, and what not.
type Unclaimed struct {
	Free   []string // images that no other launch uses, with their digest
	Kept   []Kept
	Unsure string // why nothing can be deleted with certainty

	own []registry.Claim // of the launch that is removed
}

// Unclaimed finds out which of the images that the launch has claimed, for any
// version, nobody else has. What the registry does not tell is why nothing is
// deleted, and no error. A claim of a machine that knew no cluster is of the
// launch that is installed where the configuration says; when it is not, it is
// of one elsewhere.
func (l Launch) Unclaimed(ctx context.Context, installed bool) (*Unclaimed, error) {
	if err := l.Registry.Connect(ctx); err != nil {
		return nil, l.Registry.WhyNot(ctx, err, "see which images are used")
	}
	result, err := l.readClaims(ctx, installed)
	var e *fault.Error
	switch {
	case err == nil:
		return result, nil
	case errors.Is(err, registry.ErrNoTags), errors.As(err, &e) && e.Code == fault.CodeIntegrity:
		return &Unclaimed{Unsure: err.Error()}, nil
	}
	return nil, l.Registry.WhyNot(ctx, err, "see which images are used")
}

func (l Launch) readClaims(ctx context.Context, installed bool) (*Unclaimed, error) {
	repository, err := l.claimsIn()
	if err != nil {
		return nil, err
	}
	tags, err := l.Registry.Tags(ctx, repository)
	if err != nil {
		return nil, err
	}
	claims, err := l.Registry.Claims(ctx, repository, tags)
	if err != nil {
		return nil, err
	}
	users, claimed := map[string][]string{}, map[string]bool{}
	result := &Unclaimed{}
	var images []string
	for _, c := range claims {
		own := c.OfLaunch(l.Plan.Launch.ID, l.Server, l.Namespace) && (installed || c.Namespace != "")
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
		return &Unclaimed{Unsure: "this launch has claimed no image there, as an older algo-install pushed it or the registry took no claim"}, nil
	}
	if result.Unsure, err = l.unclaimedImages(ctx, repository, tags, claimed); err != nil || result.Unsure != "" {
		return result, err
	}
	slices.Sort(images)
	for _, name := range slices.Compact(images) {
		image := l.Registry.Host() + "/" + name
		if by := users[name]; len(by) > 0 {
			result.Kept = append(result.Kept, Kept{image, by})
			continue
		}
		result.Free = append(result.Free, image)
	}
	return result, nil
}

// unclaimedImages finds an image beside the claims that none of them names: a
// launch was pushed there without one, and what else that uses is not known.
func (l Launch) unclaimedImages(ctx context.Context, repository string, tags []string, claimed map[string]bool) (string, error) {
	for _, tag := range tags {
		if registry.ClaimTag.MatchString(tag) {
			continue
		}
		digest, err := l.Registry.Resolve(ctx, repository, tag)
		if err != nil {
			return "", err
		}
		if digest != "" && !claimed[repository+"@"+digest] {
			return fmt.Sprintf("%s/%s:%s was pushed there without a claim, and what its launch uses is not known", l.Registry.Host(), repository, tag), nil
		}
	}
	return "", nil
}

// Delete deletes of the images that were shown those that nobody has claimed since,
// and last the launch's own claims, so that a removal which is cut off can be
// repeated. It returns what it deleted as free; when it is unsure now, it has
// deleted nothing.
func (l Launch) Delete(ctx context.Context, shown []string, installed bool) (*Unclaimed, error) {
	now, err := l.Unclaimed(ctx, installed)
	if err != nil || now.Unsure != "" {
		return now, err
	}
	now.Free = slices.DeleteFunc(slices.Clone(shown), func(image string) bool { return !slices.Contains(now.Free, image) })
	for _, image := range now.Free {
		if err := l.Registry.Delete(ctx, image); err != nil {
			return nil, err
		}
		l.Report.Line("deleted %s", image)
	}
	return now, l.deleteOwn(ctx, now.own)
}

func (l Launch) deleteOwn(ctx context.Context, own []registry.Claim) error {
	repository, err := l.claimsIn()
	if err != nil {
		return err
	}
	for _, c := range own {
		digest, err := l.Registry.Resolve(ctx, repository, c.Tag)
		if err != nil {
			return l.Registry.WhyNot(ctx, err, "delete the launch's claim")
		}
		if digest == "" {
			continue
		}
		if err := l.Registry.Delete(ctx, l.Registry.Host()+"/"+repository+"@"+digest); err != nil {
			return err
		}
	}
	return nil
}
