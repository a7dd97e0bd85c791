//go:build !linux

package parking

import "errors"

const supported = false

type poller struct{}

func newPoller() (poller, error)  { return poller{}, nil }
func (poller) add(int32) error    { return errors.ErrUnsupported }
func (poller) remove(int32)       {}
func (poller) run(func(fd int32)) {}
func (poller) close()             {}
