package control

import (
	"context"
	"errors"
)

var errDryRun = errors.New("a dry run ends here")

// DryRun runs do with a Service bound to one transaction, and takes back all that
// it changed, audit rows and notifications too. Its error is do's.
func (s *Service) DryRun(ctx context.Context, do func(*Service) error) error {
	err := s.transact(ctx, func(s *Service) error {
		if err := do(s); err != nil {
			return err
		}
		return errDryRun
	})
	if errors.Is(err, errDryRun) {
		return nil
	}
	return err
}
