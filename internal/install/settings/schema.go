package settings

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The forms of texts. A check knows more of some values than a form can say, and
// never less: what a form refuses is refused by the check too.
const (
	formLabel      = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`
	formName       = `^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`
	formHost       = `^(\*\.)?` + anyHost + `$`
	formRegistry   = `^((\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9-]*\.[A-Za-z0-9.-]*[A-Za-z0-9]|[Ll][Oo][Cc][Aa][Ll][Hh][Oo][Ss][Tt])(:[0-9]{1,5})?|[A-Za-z0-9][A-Za-z0-9-]*:[0-9]{1,5})(/[a-z0-9._/-]*)?$`
	formMothership = `^(https?://` + anyServer + `(/[^?#@]*)?|` + anyServer + `/*)$`
	formProxy      = `^https?://` + anyServer + `/*$`
	formPullSecret = `^(create|none|existing:[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)$`
	formQuantity   = `^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkKMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$`
	formKeep       = `^(-?[0-9]+d|\+?([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+)$`
	formShare      = `^[+]?0*([1-9]|[1-8][0-9]|90)\s*%?$`
	formCache      = `^(none|pvc:[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)$`
	formEnvFrom    = `^(secret|configmap):[^/]+(/[\s\S]+)?$`
	formVolume     = `^(empty:([^:]*:)?|(pvc|secret|configmap):[^:]*:)/`
	formReplicas   = `^[+]?[0-9]{1,4}(\.\.[+]?[0-9]{1,4})?$`
	formEgress     = `^` + reached + `(,` + reached + `)*$`
	formMonitor    = `^\s*(on|off|` + aLabel + `(,` + aLabel + `)*)\s*$`
	formTargets    = `^(` + target + `)(,(` + target + `))*$`
	formNetworks   = `^(` + network + `)(,(` + network + `))*$`

	anyHost   = `[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*`
	anyServer = `(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?`
	anyRange  = `[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}|[0-9a-fA-F]*:[0-9a-fA-F:.]*/[0-9]{1,3}`
	reached   = `\s*(` + anyHost + `\.?|` + anyIPv4 + `|\[[0-9a-fA-F]*:[0-9a-fA-F:.]*(/[0-9]{1,3})?\]):(\*|[0-9]{1,5})(/(tcp|udp))?\s*`
	anyIPv4   = `[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?`
	aLabel    = `\s*([a-z0-9][a-z0-9.-]*/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?=([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?\s*`
	target    = `\s*(` + anyHost + `|[0-9a-fA-F]*:[0-9a-fA-F:.]*|` + anyRange + `)\s*`
	network   = `\s*([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?|` + anyRange + `)\s*`
)

// variableForm is what stands for a part of a value that the environment has.
const variableForm = `\$\{[A-Za-z_][A-Za-z0-9_]*\}`

// Schema returns the JSON Schema (draft 2020-12) of the files that configure
// takes. It is made of the table: which values a key has, and between which
// bounds a number is, is asked of the key's own check.
func Schema() map[string]any {
	root := group("Where a launch goes, for 'algo-install satellite SATELLITE_ID LAUNCH_ID configure --file'.")
	for _, s := range table {
		at := root
		path := s.pathParts()
		for _, part := range path[:len(path)-1] {
			at = inner(at, part)
		}
		put(at, path[len(path)-1], s.schema())
	}
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Constellation launch configuration"
	root["$defs"] = map[string]any{"variable": map[string]any{
		"type": "string", "pattern": variableForm, "description": "${NAME} is the environment variable NAME; $${ is ${ itself",
	}}
	return root
}

// pathParts is the place of a key in the file; "<…>" is an open part.
func (s setting) pathParts() []string {
	if s.at != "" {
		return s.path()
	}
	return strings.Split(s.key, ".")
}

func group(about string) map[string]any {
	g := map[string]any{"type": []any{"object", "null"}, "properties": map[string]any{}, "additionalProperties": false}
	if about != "" {
		g["description"] = about
	}
	return g
}

func isOpen(part string) bool { return strings.HasPrefix(part, "<") }

// inner returns the group below a part of a path, which it makes.
func inner(at map[string]any, part string) map[string]any {
	if isOpen(part) {
		if g, ok := at["additionalProperties"].(map[string]any); ok {
			return g
		}
		g := group("")
		at["additionalProperties"] = g
		return g
	}
	properties := at["properties"].(map[string]any)
	if g, ok := properties[part].(map[string]any); ok {
		return g
	}
	g := group("")
	properties[part] = g
	return g
}

func put(at map[string]any, part string, schema map[string]any) {
	if isOpen(part) {
		at["additionalProperties"] = schema
		return
	}
	at["properties"].(map[string]any)[part] = schema
}

// schema returns what a value of the setting may be.
func (s setting) schema() map[string]any {
	forms := []any{map[string]any{"$ref": "#/$defs/variable"}}
	if !s.required {
		forms = append(forms, map[string]any{"enum": []any{nil, ""}}) // takes it back
	}
	result := map[string]any{"description": s.about, "anyOf": append(s.forms(), forms...)}
	if s.standard != "" {
		result["default"] = s.standard
	}
	return result
}

// forms returns the kinds of values that the setting's check takes.
func (s setting) forms() []any {
	if s.file { // which are there is known on the machine alone
		return []any{map[string]any{"type": []any{"string", "number", "boolean"}, "minLength": 1}}
	}
	if s.node != nil { // as Kubernetes has it, or in brief
		return []any{map[string]any{"type": []any{"array", "object", "string", "number", "boolean"}}}
	}
	var choice *choiceError
	if _, err := s.check("\x00"); errors.As(err, &choice) {
		values := make([]any, len(choice.values))
		for i, value := range choice.values {
			values[i] = value
		}
		return []any{map[string]any{"enum": values}}
	}
	var forms []any
	if s.takes("true") {
		forms = append(forms, map[string]any{"type": "boolean"})
	}
	if number := s.number(); number != nil {
		forms = append(forms, number)
	}
	text := map[string]any{"type": "string", "minLength": 1}
	switch {
	case s.form != "":
		text["pattern"] = s.form
	case !s.text && s.takes("true"): // as YAML 1.1 and strconv have it
		text["pattern"] = `^(1|0|t|f|T|F|true|false|TRUE|FALSE|True|False)$`
	case !s.text:
		text["pattern"] = `^[+-]?[0-9]+$`
	}
	return append(forms, text)
}

func (s setting) takes(value string) bool {
	_, err := s.check(value)
	return err == nil
}

// takesInt reports whether a whole number is taken.
func (s setting) takesInt(n int) bool { return s.takes(strconv.Itoa(n)) }

// number returns which numbers the check takes, nil for none. The bounds are
// searched for: what lies between two numbers that it takes is taken.
func (s setting) number() map[string]any {
	sample := slices.IndexFunc(sampleNumbers, s.takesInt)
	switch {
	case sample < 0 && s.takes("1.5"): // a host may look like this
		return map[string]any{"type": "number", "not": map[string]any{"type": "integer"}}
	case sample < 0:
		return nil
	}
	known := sampleNumbers[sample]
	number := map[string]any{"type": "integer"}
	if s.takes("1.5") && s.takes("2.5") {
		number["type"] = "number"
	}
	if least := math.MinInt32; !s.takesInt(least) {
		number["minimum"] = edge(known, least, s.takesInt)
	}
	if most := math.MaxInt32; !s.takesInt(most) {
		number["maximum"] = edge(known, most, s.takesInt)
	}
	if number["type"] == "number" && number["minimum"] == 1 && s.takes("0.5") {
		delete(number, "minimum")
		number["exclusiveMinimum"] = 0
	}
	return number
}

// sampleNumbers are tried to find out whether a key takes numbers at all.
var sampleNumbers = []int{1, 2, 64, 1_000_000_000}

// edge returns the last number that is taken on the way from one that is to one
// that is not.
func edge(taken, refused int, takes func(int) bool) int {
	for max(taken, refused)-min(taken, refused) > 1 {
		middle := taken + (refused-taken)/2
		if takes(middle) {
			taken = middle
		} else {
			refused = middle
		}
	}
	return taken
}
