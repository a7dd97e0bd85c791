//go:build !linux && !darwin

package node

import "errors"

func diskRoom(string) (free, total int64, err error) {
	return 0, 0, errors.ErrUnsupported
}
