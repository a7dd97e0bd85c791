package retry

import (
	"errors"
	"time"
)

// permanent marks an error that another attempt cannot mend.
type permanent struct{ error }

// Unwrap returns the error that is marked.
func (p permanent) Unwrap() error { return p.error }

// Permanent marks err as one that another attempt cannot mend; nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether err was marked by [Permanent].
func IsPermanent(err error) bool { return errors.As(err, new(permanent)) }

// after marks an error whose answer says when to come back.
type after struct {
	error
	delay time.Duration
}

// Unwrap returns the error that is marked.
func (a after) Unwrap() error { return a.error }

// After marks err as one whose answer asked for a wait of at least delay before
// the next attempt; nil stays nil.
func After(err error, delay time.Duration) error {
	if err == nil {
		return nil
	}
	return after{err, delay}
}

// AskedDelay returns the wait that err was marked with by [After], and whether
// it was.
func AskedDelay(err error) (delay time.Duration, ok bool) {
	var a after
	ok = errors.As(err, &a)
	return a.delay, ok
}

// progressed marks the error of an attempt that brought the whole nearer.
type progressed struct{ error }

// Unwrap returns the error that is marked.
func (p progressed) Unwrap() error { return p.error }

// Progressed marks the error of an attempt that brought the whole nearer to its
// end, so that the attempts before it count no more; nil stays nil.
func Progressed(err error) error {
	if err == nil {
		return nil
	}
	return progressed{err}
}

// unmarked returns err without the marks that it begins with.
func unmarked(err error) error {
	for {
		switch marked := err.(type) { //nolint:errorlint // only the outermost is taken off
		case permanent:
			err = marked.error
		case after:
			err = marked.error
		case progressed:
			err = marked.error
		default:
			return err
		}
	}
}
