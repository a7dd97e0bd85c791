package transfer

import (
	"context"
	"errors"
	"net/http"

	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/registry"
	"github.com/constellation-serving/constellation/internal/install/store"
	"github.com/constellation-serving/constellation/internal/retry"
)

// classify explains a failure of an upload and marks it: permanent, or to be
// tried again, and when.
func (u *uploader) classify(ctx context.Context, err error, what string) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	explained := u.Explain(err, what)
	var refused *registry.Refusal
	asked, isAsked := retry.AskedDelay(err)
	switch {
	case errors.As(err, new(mendable)):
		return explained
	case isAsked:
		u.limiter.backOff()
		return retry.After(explained, asked)
	case errors.As(err, &refused):
		switch s := refused.Status; {
		case s == http.StatusRequestTimeout, s == http.StatusConflict, retry.TransientStatus(s):
			u.limiter.backOff()
			return explained
		}
		return retry.Permanent(explained)
	case fault.IsDamaged(err), connection.IsDowngrade(err), store.IsDiskError(err), explained.Code == fault.CodeAuth:
		return retry.Permanent(explained)
	}
	u.limiter.backOff()
	return explained
}

// mendable is a refusal that the next attempt may get around. When none does, it is
// what the registry said.
type mendable struct{ *registry.Refusal }

// Unwrap returns the refusal.
func (m mendable) Unwrap() error { return m.Refusal }
