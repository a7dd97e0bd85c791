package api

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// validator holds values to schemas, and notes in words what does not fit.
type validator struct {
	schemas huma.Registry
	fields  []constellation.FieldError
	count   int
}

// note notes what is wrong with a field; of very many, the first.
func (v *validator) note(field, format string, args ...any) {
	if v.count++; v.count > maxFields {
		return
	}
	name := shorten(field)
	if name == "" {
		name = `""`
	}
	v.fields = append(v.fields, constellation.FieldError{Field: shorten(field), Message: name + " " + fmt.Sprintf(format, args...)})
}

// unknown notes a field or parameter that there is not.
func (v *validator) unknown(field, what string, known []string) {
	if v.count++; v.count > maxFields {
		return
	}
	name := shorten(field)
	message := fmt.Sprintf("there is no %s %s here", what, cmp.Or(name, `""`))
	if len(known) > 0 {
		message += "; there are " + strings.Join(known, ", ")
	}
	v.fields = append(v.fields, constellation.FieldError{Field: name, Message: message})
}

// err returns what was noted, in the order of the fields.
func (v *validator) err(kind constellation.Kind) error {
	slices.SortStableFunc(v.fields, func(a, b constellation.FieldError) int { return compareFields(a.Field, b.Field) })
	var all constellation.Validation
	for _, f := range v.fields {
		all.Add(f.Field, "%s", f.Message)
	}
	err := all.Err()
	var e *constellation.Error
	if errors.As(err, &e) {
		e.Kind = kind
	}
	return err
}

const timeRule = "is a time in RFC 3339 form, such as 2027-01-31T12:00:00Z; not %s"

// parameter holds the text of a parameter to its schema, and puts it into a
// field of an input.
func (v *validator) parameter(p parameter, text string, into reflect.Value) {
	if text == "" {
		if p.required {
			v.note(p.name, "is missing")
		} else if p.schema.Default != nil {
			into.Set(reflect.ValueOf(p.schema.Default).Convert(into.Type()))
		}
		return
	}
	value, err := parse(text, into)
	switch {
	case err != nil && p.schema.Format == "date-time":
		v.note(p.name, timeRule, describe(text))
	case err != nil:
		v.note(p.name, "is a whole number; not %s", describe(text))
	default:
		v.value(p.schema, p.name, value)
	}
}

// value holds a value of JSON to a schema; path is where it is.
func (v *validator) value(schema *huma.Schema, path string, value any) {
	schema = resolve(v.schemas, schema)
	switch schema.Type {
	case huma.TypeBoolean:
		if _, ok := value.(bool); !ok {
			v.note(path, "is true or false; not %s", describe(value))
		}
	case huma.TypeInteger, huma.TypeNumber:
		v.number(schema, path, value)
	case huma.TypeString:
		v.text(schema, path, value)
	case huma.TypeArray:
		v.array(schema, path, value)
	case huma.TypeObject:
		v.object(schema, path, value)
	}
}

func (v *validator) text(schema *huma.Schema, path string, value any) {
	text, ok := value.(string)
	if !ok {
		v.note(path, "is text in quotes; not %s", describe(value))
		return
	}
	if schema.Format == "date-time" {
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			v.note(path, timeRule, describe(text))
		}
	}
	if len(schema.Enum) > 0 && !slices.Contains(schema.Enum, value) {
		words := make([]string, len(schema.Enum))
		for i, word := range schema.Enum {
			words[i] = fmt.Sprintf("%q", word)
		}
		v.note(path, "is not valid: expected value to be one of %s", strings.Join(words, ", "))
	}
}

func (v *validator) number(schema *huma.Schema, path string, value any) {
	n, ok := value.(float64)
	switch {
	case !ok && schema.Type == huma.TypeInteger:
		v.note(path, "is a whole number; not %s", describe(value))
	case !ok:
		v.note(path, "is a number; not %s", describe(value))
	case schema.Minimum != nil && n < *schema.Minimum:
		v.note(path, "is at least %s; not %s", plain(*schema.Minimum), plain(n))
	case schema.Maximum != nil && n > *schema.Maximum:
		v.note(path, "is at most %s; not %s", plain(*schema.Maximum), plain(n))
	}
}

func plain(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func (v *validator) array(schema *huma.Schema, path string, value any) {
	list, ok := value.([]any)
	if !ok {
		v.note(path, "is a list in [ ]; not %s", describe(value))
		return
	}
	if schema.MinItems != nil && len(list) < *schema.MinItems {
		v.note(path, "is empty; name at least %d, or leave it out", *schema.MinItems)
	}
	if schema.MaxItems != nil && len(list) > *schema.MaxItems {
		v.note(path, "has at most %d entries", *schema.MaxItems)
	}
	for i, item := range list {
		if v.count >= maxFields {
			return
		}
		v.value(schema.Items, path+"["+strconv.Itoa(i)+"]", item)
	}
}

func (v *validator) object(schema *huma.Schema, path string, value any) {
	object, ok := value.(map[string]any)
	if !ok {
		v.note(path, "is an object in { }; not %s", describe(value))
		return
	}
	if values, ok := schema.AdditionalProperties.(*huma.Schema); ok { // the sender chooses the names
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if v.count < maxFields {
				v.value(values, join(path, name), object[name])
			}
		}
		return
	}
	known := propertyNames(schema)
	for _, name := range known {
		sent, ok := property(object, name)
		required := slices.Contains(schema.Required, name)
		switch {
		case !ok && required:
			v.note(join(path, name), "is missing")
		case ok && (sent != nil || required): // a null that may be left out is told when nothing else is wrong
			v.value(schema.Properties[name], join(path, name), sent)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			v.unknown(join(path, name), "field", known)
		}
	}
}

// property returns a property of an object, in any case: as it will be decoded.
func property(object map[string]any, name string) (any, bool) {
	if value, ok := object[name]; ok {
		return value, true
	}
	for other, value := range object {
		if strings.EqualFold(other, name) {
			return value, true
		}
	}
	return nil, false
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// compareFields orders paths as a reader does: algorithms[2] before
// algorithms[10].
func compareFields(a, b string) int {
	for a != "" && b != "" {
		x, y := leadingNumber(a), leadingNumber(b)
		if x == "" || y == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		if order := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); order != 0 {
			return order
		}
		a, b = a[len(x):], b[len(y):]
	}
	return cmp.Compare(a, b)
}

func leadingNumber(s string) string { return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))] }

// describe names a value that has the wrong type, without repeating much of it.
func describe(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("%q", shorten(value))
	case bool, float64, int64:
		return fmt.Sprint(value)
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	}
	return "what was sent"
}
