package constellation

import "regexp"

// Provider is where people sign in who have no password here (OpenID Connect).
type Provider struct {
	Name  string // in addresses and settings
	Label string // for people
	// Problem says that nobody can sign in by it at the moment, "" when they can.
	Problem string
}

var providerPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// ValidProvider reports whether name can be a provider's: 1 to 32 lower-case letters,
// digits and inner '-'.
func ValidProvider(name string) bool { return providerPattern.MatchString(name) }
