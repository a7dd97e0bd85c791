package constellation

import (
	"slices"
	"strings"
)

// KeyScope is all that an API key may do: push to and pull from the
// repositories that it names. It is "push:OWNER/*" or "push:OWNER/NAME" in
// lower case, several with one space between them; "" is no scope, with which
// a key may do what its role may.
type KeyScope string

const (
	pushScope = "push:"
	scopeRule = `a scope is push:OWNER/* or push:OWNER/NAME, and several have a space between them: "push:neo/* push:trinity/hello"`
)

// MaxKeyScopes is how many repositories or owners one key may name.
const MaxKeyScopes = 20

// ParseKeyScope returns what somebody wrote in its one form, sorted, or adds an error to v.
// Nothing is no scope, and refused: only what is left out is unlimited.
func ParseKeyScope(v *Validation, field, text string) KeyScope {
	words := strings.Fields(strings.ToLower(text))
	switch {
	case len(words) == 0:
		v.Add(field, "the scope is empty; leave it out for a key without one: %s", scopeRule)
		return ""
	case len(words) > MaxKeyScopes:
		v.Add(field, "a key has at most %d scopes; this one has %d", MaxKeyScopes, len(words))
		return ""
	}
	for _, word := range words {
		repository, ok := strings.CutPrefix(word, pushScope)
		owner, name, _ := strings.Cut(repository, "/")
		if name == "*" {
			name = "any"
		}
		var parts Validation
		if CheckOwnerName(&parts, "owner", owner, "name", name); !ok || len(parts.fields) > 0 {
			v.Add(field, "%q is no scope: %s", shorten(word), scopeRule)
			return ""
		}
	}
	slices.Sort(words)
	return KeyScope(strings.Join(slices.Compact(words), " "))
}

// Pushes reports whether the scope names a repository, OWNER/NAME in any case.
func (s KeyScope) Pushes(repository string) bool {
	repository = strings.ToLower(repository)
	owner, _, ok := strings.Cut(repository, "/")
	if !ok {
		return false
	}
	for word := range strings.FieldsSeq(string(s)) {
		if word == pushScope+repository || word == pushScope+owner+"/*" {
			return true
		}
	}
	return false
}

// Repositories returns what the scope names, for a sentence: "neo/* and trinity/hello".
func (s KeyScope) Repositories() string {
	words := strings.Fields(strings.ReplaceAll(string(s), pushScope, ""))
	if last := len(words) - 1; last > 0 {
		return strings.Join(words[:last], ", ") + " and " + words[last]
	}
	return strings.Join(words, "")
}
