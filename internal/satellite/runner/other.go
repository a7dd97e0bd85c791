//go:build !linux

package runner

import (
	"context"
	"errors"
)

// Run needs Linux.
func Run(context.Context, Options) error {
	return errors.New("the runner starts algorithms in containers and needs Linux")
}
