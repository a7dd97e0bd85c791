package launchfile

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand puts variables in the place of ${NAME}; $${ stands for ${ itself. What
// a variable holds is not looked at again.
func expand(text string, variable func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String(), nil
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		name, rest, closed := strings.Cut(text[i+2:], "}")
		if !closed || !variableName.MatchString(name) {
			return "", errors.New("has a ${ that no name of a variable and } follow; ${NAME} is a variable, and $${ is ${ itself")
		}
		value, ok := variable(name)
		if !ok {
			return "", fmt.Errorf("names the environment variable %s, which is not set", name)
		}
		b.WriteString(value)
		text = rest
	}
}

// Escape returns text as it stands in a file.
func Escape(text string) string { return strings.ReplaceAll(text, "${", "$${") }

// secrets are what is never meant to be in a configuration: keys of a mothership,
// private keys, and URLs with a password.
var secrets = []struct {
	form *regexp.Regexp
	what string
}{
	{regexp.MustCompile(`cstl?_[0-9A-Za-z]{16,}`), "an API key or a token of a mothership"},
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`), "a private key"},
	{regexp.MustCompile(`://[^/\s:@]*:[^/\s@]+@`), "a URL with a password"},
}

// secret refuses a value that is one. It is not repeated.
func secret(text string) error {
	for _, s := range secrets {
		if s.form.MatchString(text) {
			return fmt.Errorf("holds %s, and a configuration holds no secret: it is shown, copied and kept in Git", s.what)
		}
	}
	return nil
}
