package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

// explanation says in the house's words what Huma found wrong with a request.
func (s *server) explanation(op *huma.Operation, model *huma.ErrorModel) error {
	if len(model.Errors) == 0 || model.Status >= http.StatusInternalServerError {
		return constellation.Wrap(model, constellation.KindInternal, "unexpected failure")
	}
	fields := make([]constellation.FieldError, 0, maxFields)
	for _, detail := range model.Errors[:min(len(model.Errors), maxFields)] {
		field := s.explainField(op, detail)
		if detail.Location == "body" && field.Field == "" {
			return constellation.Errorf(constellation.KindInvalid, "%s", field.Message)
		}
		fields = append(fields, field)
	}
	inBody := strings.HasPrefix(model.Errors[len(model.Errors)-1].Location, "body")
	slices.SortStableFunc(fields, func(a, b constellation.FieldError) int { return compareFields(a.Field, b.Field) })
	var v constellation.Validation
	for _, f := range fields {
		v.Add(f.Field, "%s", f.Message)
	}
	err := v.Err()
	var e *constellation.Error
	if errors.As(err, &e) && !inBody { // as control says of a query
		e.Kind = constellation.KindMalformed
	}
	return err
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

// listCode gives a bad marker and a bad limit their own codes.
func listCode(err error) error {
	var e *constellation.Error
	if !errors.As(err, &e) || e.Kind != constellation.KindMalformed || len(e.Fields) != 1 {
		return err
	}
	switch e.Fields[0].Field {
	case "marker":
		return httpserve.WithCode(err, apiv1.CodeBadMarker)
	case "limit":
		return httpserve.WithCode(err, apiv1.CodeBadLimit)
	}
	return err
}

// expectations are Huma's messages about a value's type, and what we say
// instead after the field's name.
var expectations = map[string]string{
	validation.MsgExpectedString:          "is text in quotes",
	validation.MsgExpectedInteger:         "is a whole number",
	validation.MsgExpectedNumber:          "is a number",
	validation.MsgExpectedBoolean:         "is true or false",
	validation.MsgExpectedArray:           "is a list in [ ]",
	validation.MsgExpectedObject:          "is an object in { }",
	validation.MsgExpectedRFC3339DateTime: "is a time in RFC 3339 form, such as 2027-01-31T12:00:00Z",
	"invalid integer":                     "is a whole number",
}

func (s *server) explainField(op *huma.Operation, detail *huma.ErrorDetail) constellation.FieldError {
	where, field, inside := strings.Cut(detail.Location, ".")
	name := shorten(field)
	switch {
	case !inside:
		name = "the request's body"
	case name == "":
		name = `""`
	}
	say := func(format string, args ...any) constellation.FieldError {
		return constellation.FieldError{Field: shorten(field), Message: fmt.Sprintf(format, args...)}
	}
	if rule, ok := expectations[detail.Message]; ok {
		return say("%s %s; not %s", name, rule, describe(detail.Value))
	}
	var missing string
	if n, _ := fmt.Sscanf(detail.Message, validation.MsgExpectedRequiredProperty, &missing); n == 1 {
		field = strings.TrimPrefix(field+"."+missing, ".")
		return say("%s is missing", field)
	}
	switch {
	case detail.Message == validation.MsgUnexpectedProperty:
		known := s.properties(op, field)
		if len(known) == 0 {
			return say("there is no field %s here", name)
		}
		return say("there is no field %s here; there are %s", name, strings.Join(known, ", "))
	case strings.HasSuffix(detail.Message, " parameter is missing"):
		return say("%s is missing", name)
	case detail.Message == "unknown query parameter":
		known := queryParameters(op)
		if len(known) == 0 {
			return say("there is no query parameter %s here", name)
		}
		return say("there is no query parameter %s here; there are %s", name, strings.Join(known, ", "))
	case strings.HasPrefix(detail.Message, "expected number >= "), strings.HasPrefix(detail.Message, "expected number <= "):
		word := map[byte]string{'>': "at least", '<': "at most"}[detail.Message[len("expected number ")]]
		bound, _ := strconv.ParseFloat(detail.Message[len("expected number >= "):], 64)
		return say("%s is %s %s; not %s", name, word, strconv.FormatFloat(bound, 'f', -1, 64), describe(detail.Value))
	case strings.HasPrefix(detail.Message, "invalid date/time"):
		return say("%s %s; not %s", name, expectations[validation.MsgExpectedRFC3339DateTime], describe(detail.Value))
	case where == "body":
		return say("%s does not fit: see /docs/api", name)
	}
	return say("%s is not valid: %s", name, detail.Message)
}

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

// properties gives the fields that the body has where field is.
func (s *server) properties(op *huma.Operation, field string) []string {
	media := op.RequestBody.Content["application/json"]
	if media == nil {
		return nil
	}
	registry := s.api.OpenAPI().Components.Schemas
	schema := resolve(registry, media.Schema)
	path := strings.Split(field, ".")
	for _, name := range path[:len(path)-1] {
		name, _, indexed := strings.Cut(name, "[")
		property := schema.Properties[name]
		if property == nil {
			return nil
		}
		schema = resolve(registry, property)
		if indexed && schema.Items != nil {
			schema = resolve(registry, schema.Items)
		}
	}
	return propertyNames(schema)
}

func queryParameters(op *huma.Operation) []string {
	var names []string
	for _, p := range op.Parameters {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	return names
}
