package constellation

import (
	"net/url"
	"strings"
)

// MaxCallbackURL is how long the URL of a callback may be, in bytes.
const MaxCallbackURL = 2048

// CheckCallbackURL adds to v what is wrong with the URL that results are posted
// to. Whether the satellite may reach its address is decided when it does.
func CheckCallbackURL(v *Validation, field, s string) {
	if len(s) > MaxCallbackURL {
		v.Add(field, "a callback's URL has at most %d characters; this one has %d", MaxCallbackURL, len(s))
		return
	}
	odd := func(r rune) bool { return r <= ' ' || r > '~' }
	u, err := url.Parse(s)
	switch {
	case strings.Contains(s, "@") && (err != nil || u.User != nil): // not repeated: it may have a password
		v.Add(field, "a callback's URL has no user and no password; the receiver knows us by the signature of what it gets")
	case err != nil || strings.ContainsFunc(s, odd) || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "":
		v.Add(field, "a callback's URL is written whole, such as https://host.example/results; not %q", shorten(s))
	case u.Fragment != "" || strings.Contains(s, "#"):
		v.Add(field, "a callback's URL has no part after '#', which is never sent")
	}
}
