package support

import (
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/support"
)

// Archive is a bundle that is being written.
type Archive struct{ *support.Archive }

// about is what a bundle says of itself.
const about = `This is what algo-install could learn of a launch and of what runs of it.

Taken out, wherever it stood: the values of Secrets, API keys, tokens, passwords,
private keys, logins in URLs, and variables that are called like secrets. What the
algorithms log themselves is in it as they log it: look at logs/ before you hand
this on.

`

// Create begins a bundle beside path, which Close makes it.
func Create(path string, redactor *support.Redactor, now time.Time) (*Archive, error) {
	a, err := support.Create(support.Options{File: path, Redactor: redactor, About: about, Now: now})
	if err != nil {
		return nil, failed(err)
	}
	return &Archive{a}, nil
}

// Close adds what the bundle says of itself, and puts it in its place.
func (a *Archive) Close() error {
	if err := a.Archive.Close(); err != nil {
		return failed(err)
	}
	return nil
}

func failed(err error) error {
	code := fault.CodeFailed
	if constellation.KindOf(err) == constellation.KindInvalid {
		code = fault.CodeUsage
	}
	return fault.Wrap(err, code, "write the support bundle")
}
