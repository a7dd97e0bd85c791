package settings

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

var (
	noField   = regexp.MustCompile(`^line (\d+): field (\S+) not found in type `)
	wrongType = regexp.MustCompile("^line (\\d+): cannot unmarshal !!(\\w+)(?: `(.*)`)? into (\\S+)")
)

// handEdited returns in the operator's words what is wrong with a config.yaml
// that was edited by hand.
func handEdited(path string, err error) error {
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) {
		return fault.Errorf(fault.CodeUsage, "%s is not YAML: %s; mend it with an editor", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var told []string
	for _, text := range wrong.Errors {
		told = append(told, describe(text))
	}
	return fault.Errorf(fault.CodeUsage, "%s: %s; mend it with an editor, or remove the line and use configure", path, strings.Join(told, "; "))
}

func describe(text string) string {
	if m := noField.FindStringSubmatch(text); m != nil {
		var names []string
		for _, key := range settingKeys() {
			names = append(names, strings.Split(key, ".")...)
		}
		return fmt.Sprintf("line %s: there is no setting %q; did you mean %q", m[1], m[2], constellation.Nearest(m[2], names))
	}
	m := wrongType.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	got := map[string]string{"seq": "a list", "map": "a group of settings"}[m[2]]
	if m[3] != "" {
		got = fmt.Sprintf("%q", m[3])
	}
	want, ok := map[string]string{"bool": "true or false", "int": "a whole number", "string": "one value", "replicas": "a whole number or MIN..MAX"}[m[4]]
	if !ok {
		want = "a group of settings, KEY: VALUE below each other"
	}
	return fmt.Sprintf("line %s: %s stands where %s belongs", m[1], got, want)
}
