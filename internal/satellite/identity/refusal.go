package identity

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Refusal is why a token or a certificate does not let its bearer in. Its message
// is for the caller.
type Refusal struct {
	Message string
	Unready bool // it is not known whether the token is good: the issuer's keys are not there
	Wait    bool // it may help to wait for Refresh
}

// Error returns the message.
func (r *Refusal) Error() string { return r.Message }

func refuse(format string, args ...any) *Refusal {
	return &Refusal{Message: fmt.Sprintf(format, args...)}
}

// maxName is the length of an identity's name in bytes. What tells two identities
// apart is their ID.
const maxName = 128

// clean makes a name printable and bounds it.
func clean(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, name[:min(len(name), 4*maxName)])
	for len(name) > maxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}
