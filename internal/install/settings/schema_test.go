package settings_test

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/launchfile"
	"github.com/constellation-serving/constellation/internal/install/settings"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := json.Marshal(settings.Schema())
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("launch.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("launch.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// valid reports whether a file is as the schema has it.
func valid(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(instance)
}

// taken reports whether configure takes a file.
func taken(text string) error {
	reader := launchfile.Reader{Variable: func(name string) (string, bool) { return "", false }, Stdin: strings.NewReader(text)}
	entries, err := reader.Read([]string{"-"})
	if err != nil {
		return err
	}
	c, plan := &settings.File{}, &bundle.Plan{Algorithms: []bundle.Algorithm{{VanityURL: "foo/bar"}}}
	for _, entry := range entries {
		if _, err := c.Assign(plan, entry.Key+"="+entry.Value, false); err != nil {
			return err
		}
	}
	return nil
}

// samples are values as they stand in a file; each key is tried with each.
var samples = []string{
	"''", "null", "true", "off", "on", "0", "1", "2", "-1", "1.5", "64", "65", "1000", "1001", "2147483648", "x", "X", "[1, 2]", "{a: b}", "edge", "ha", "nginx", "NGINX", "single",
	"per-image", "create", "none", "'existing:regcred'", "'existing:'", "any", "a.example", "A.Example", "'a.example:5000'", "'a.example:5000/team/x'", "a.example/Team", "'a.example:70000x'",
	"'https://a.example'", "'https://a.example/x?y'", "'ftp://a.example'", "'[::1]:80'", "'::1'", "under_score", "two words", "500m", "2Gi", "10Gi", "64Mi", "'1e3'", "-2Gi", "2GB", "0.5",
	"24h", "90m", "7d", "7 days", "20%", "'20 %'", "95%", "0%", "2..5", "'2 .. 5'", "..5", "5..", "'monitoring,10.0.0.0/8'", "'10.0.0.0/8'", "'a,,b'", "'*.example.com'", "'http://p.example:3128'",
	"'http://p.example:3128/x'", "auto", "persistent", "pods", "'/etc/kube.conf'", "typed", "'secret:hub'", "'secret:hub/token'", "'configmap:/x'", "'pvc:models:/m:ro'", "'empty:/m'", "'host:/m:/m'", "'release=prometheus, team=ml'", "'example.com/on='", "'api.example.com:443, 10.0.0.0/8:5432,[2001:db8::/32]:*/udp'", "'0.0.0.0/0:443'", "'10.0.0.0/8:0'", "long" + strings.Repeat("x", 50),
}

// looser are values that only a check knows to be wrong, since a form cannot say
// it: a number in a text that is out of bounds, and rules of some registries.
var looser = map[string][]string{
	"stage.queue.size":        {"500m", "90m", "'1e3'"},          // below its least
	"stage.auth.client_allow": {"'release=prometheus, team=ml'"}, // algorithms that are none
	"stage.egress.<vanity>":   {"'[::1]:80'", "'10.0.0.0/8:0'"},  // a pod's own, and no port
}

// isLooser reports whether the schema may take what configure refuses. A key
// whose texts have no form takes any text.
func isLooser(t *testing.T, schema *jsonschema.Schema, key, sample string) bool {
	return slices.Contains(looser[key], sample) || valid(t, schema, file(key, `"\x01 no form ?"`)) == nil
}

// The schema takes what configure takes, for every key of the table and for those
// that come to it. What it takes beyond that is told apart by numbers alone.
func TestSchemaIsTheTable(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	both := 0
	for _, s := range settings.All() {
		for _, sample := range samples {
			text := file(s.Key, sample)
			bySchema, byConfigure := valid(t, schema, text), taken(text)
			switch {
			case byConfigure == nil && bySchema != nil:
				t.Errorf("%s: %.50s: configure takes it, and the schema does not: %v", s.Key, sample, bySchema)
			case byConfigure != nil && bySchema == nil && !isLooser(t, schema, s.Key, sample):
				t.Errorf("%s: %.50s: the schema takes it, and configure does not: %.100v", s.Key, sample, byConfigure)
			case byConfigure != nil:
				both++
			}
		}
	}
	if both < 1000 {
		t.Errorf("both refuse %d values, and hardly any is tried", both)
	}
}

// file is a configuration with one value.
func file(key, value string) string {
	key = strings.NewReplacer("<vanity>", "foo/bar", "<name>", "example.com/on", "<variable>", "NAME", "<volume>", "data").Replace(strings.ReplaceAll(key, ".", "\n"))
	if key == "stage\nqueue" {
		key += "\nstate"
	}
	var b strings.Builder
	parts := strings.Split(key, "\n")
	for i, part := range parts {
		fmt.Fprintf(&b, "%s%q:", strings.Repeat("  ", i), part)
		if i < len(parts)-1 {
			_, _ = io.WriteString(&b, "\n")
		}
	}
	return b.String() + " " + value + "\n"
}
