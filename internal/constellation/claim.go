package constellation

import "strings"

// FindClaim returns what a token claims under a name, or under a path such as
// realm_access.roles; nil when there is none.
func FindClaim(claims map[string]any, name string) any {
	if claim, ok := claims[name]; ok {
		return claim
	}
	parent, rest, ok := strings.Cut(name, ".")
	if !ok {
		return nil
	}
	inner, _ := claims[parent].(map[string]any)
	return FindClaim(inner, rest)
}
