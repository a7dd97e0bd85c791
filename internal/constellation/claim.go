package constellation

// FindClaim returns what a token claims under a name, or under a path such as
// realm_access.roles; nil when there is none.
func FindClaim(claims map[string]any, name string) any {
	if claim, ok := claims[name]; ok {
		return claim
	}
	for i := range name {
		if name[i] != '.' { // a name may have dots itself, as kubernetes.io
			continue
		}
		if inner, ok := claims[name[:i]].(map[string]any); ok {
			if claim := FindClaim(inner, name[i+1:]); claim != nil {
				return claim
			}
		}
	}
	return nil
}
