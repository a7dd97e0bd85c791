package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// describer is Huma's adapter for an API that it only describes: it serves
// nothing, and keeps the operation that was described last.
type describer struct{ last *huma.Operation }

// Handle is part of huma.Adapter.
func (d *describer) Handle(op *huma.Operation, _ func(huma.Context)) { d.last = op }

// ServeHTTP is part of huma.Adapter.
func (d *describer) ServeHTTP(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// codec reads the input of an operation from a request, and writes its output.
// Both are structs: an input has fields with the tag path, query or header, and
// a Body; an output has fields with the tag header, a Status and a Body, each
// where it needs one.
type codec struct {
	op         *huma.Operation
	schemas    huma.Registry
	parameters []parameter
	body       *huma.Schema // of the input's Body; nil without one
}

// parameter is a field of an input that is not its body.
type parameter struct {
	in, name string
	field    []int
	schema   *huma.Schema
	required bool
}

func newCodec(op *huma.Operation, schemas huma.Registry, input reflect.Type) *codec {
	c := &codec{op: op, schemas: schemas}
	for _, field := range reflect.VisibleFields(input) {
		for _, in := range []string{"path", "query", "header"} {
			name := field.Tag.Get(in)
			i := slices.IndexFunc(op.Parameters, func(p *huma.Param) bool { return p.In == in && p.Name == name })
			if i >= 0 {
				c.parameters = append(c.parameters, parameter{in: in, name: name, field: field.Index, schema: op.Parameters[i].Schema, required: op.Parameters[i].Required})
			}
		}
	}
	if op.RequestBody != nil {
		c.body = op.RequestBody.Content["application/json"].Schema
	}
	return c
}

// decode reads a request, whose body is JSON already, into an input. The error
// names all that is wrong with it: KindInvalid when that is in the body,
// KindMalformed else.
func (c *codec) decode(r *http.Request, body []byte, input any) error {
	query := r.URL.Query() // checked: see checkAddress and checkQuery
	v := validator{schemas: c.schemas}
	in := reflect.ValueOf(input).Elem()
	for _, p := range c.parameters {
		v.parameter(p, p.value(r, query), in.FieldByIndex(p.field))
	}
	if c.body == nil {
		return v.err(constellation.KindMalformed)
	}
	parameters := v.count
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return fmt.Errorf("decode JSON that was checked: %w", err)
	}
	if !isObject(value) {
		return constellation.Errorf(constellation.KindInvalid, "the request's body is an object in { }; not %s", describe(value))
	}
	if v.value(c.body, "", value); v.count > parameters {
		return v.err(constellation.KindInvalid)
	} else if v.count > 0 {
		return v.err(constellation.KindMalformed)
	}
	if err := json.Unmarshal(body, in.FieldByName("Body").Addr().Interface()); err != nil {
		return constellation.Wrap(err, constellation.KindInvalid, "the request's body does not fit: see /docs/api")
	}
	return nil
}

func isObject(value any) bool { _, ok := value.(map[string]any); return ok }

// checkQuery refuses query parameters that the operation does not have, and
// then those without a value.
func (c *codec) checkQuery(query url.Values) error {
	if err := c.checkNames(query); err != nil {
		return err
	}
	return checkEmpty(query)
}

// checkNames refuses query parameters that the operation does not have.
func (c *codec) checkNames(query url.Values) error {
	var known []string
	for _, p := range c.parameters {
		if p.in == "query" {
			known = append(known, p.name)
		}
	}
	v := validator{schemas: c.schemas}
	for name := range query {
		if !slices.Contains(known, name) {
			v.unknown(name, "query parameter", known)
		}
	}
	return v.err(constellation.KindMalformed)
}

// value returns a parameter's text in a request; "" is none.
func (p *parameter) value(r *http.Request, query url.Values) string {
	switch p.in {
	case "query":
		return query.Get(p.name)
	case "header":
		return r.Header.Get(p.name)
	}
	value := r.PathValue(p.name)
	if r.URL.RawPath == "" { // then nothing in it is escaped
		return value
	}
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}

// parse puts a parameter's text into a field of an input, and returns the value
// that its schema is of.
func parse(text string, into reflect.Value) (any, error) {
	switch target := into.Addr().Interface().(type) {
	case *string:
		*target = text
		return text, nil
	case *int:
		n, err := strconv.ParseInt(text, 10, 64)
		*target = int(n)
		return float64(n), err
	case *time.Time:
		at, err := time.Parse(time.RFC3339, text)
		*target = at
		return text, err
	}
	panic("an input has a parameter of the type " + into.Type().String())
}

// encode makes the response of an output; nil is one without a body.
func (c *codec) encode(output any) (*response, error) {
	a := &response{status: c.op.DefaultStatus, header: http.Header{}}
	out := reflect.ValueOf(output)
	if out.IsNil() {
		return a, nil
	}
	out = out.Elem()
	for field, value := range out.Fields() {
		switch name := field.Tag.Get("header"); {
		case name != "" && value.String() != "":
			a.header.Set(name, value.String())
		case field.Name == "Status":
			a.status = int(value.Int())
		}
	}
	body := out.FieldByName("Body")
	if !body.IsValid() || body.Kind() == reflect.Pointer && body.IsNil() {
		return a, nil
	}
	a.header.Set("Content-Type", "application/json")
	if s, ok := output.(streamed); ok {
		a.stream = s
		return a, nil
	}
	var b bytes.Buffer
	err := marshal(&b, body.Interface())
	a.body = b.Bytes()
	return a, err
}

// isNumber reports whether the body's field at a path takes a number, or is
// none that we know.
func (c *codec) isNumber(path string) bool {
	schema := resolve(c.schemas, c.body)
	for name := range strings.SplitSeq(path, ".") {
		name, _, indexed := strings.Cut(name, "[")
		property := schema.Properties[name]
		if property == nil {
			return true
		}
		schema = resolve(c.schemas, property)
		if indexed && schema.Items != nil {
			schema = resolve(c.schemas, schema.Items)
		}
	}
	return schema.Type == huma.TypeInteger || schema.Type == huma.TypeNumber
}
