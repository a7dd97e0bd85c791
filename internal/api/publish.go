package api

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// publish encodes the document that clients are made from. Huma's own is what
// requests are held to; it says less than we do about answers:
//
//   - an object that may be null says so;
//   - answers are open, since a later version may answer more; what is sent to
//     us is closed, and has a schema of its own (NAMEInput) where an answer has
//     the same fields; the reasons of an error are open too;
//   - bodies and parameters have the bounds that the server holds them to;
//   - the headers of refusals are there.
func publish(document *huma.OpenAPI) ([]byte, error) {
	data, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	var root map[string]any
	if err := json.Unmarshal(data, &root); err != nil {
		return nil, err
	}
	schemas := root["components"].(map[string]any)["schemas"].(map[string]any)
	for name, schema := range schemas {
		allowNulls(schema.(map[string]any), document.Components.Schemas.TypeFromRef(schemaPrefix+name))
	}
	separate(root["paths"].(map[string]any), schemas)
	bind(schemas)
	bindParameters(root["paths"].(map[string]any))
	addHeaders(root["paths"].(map[string]any))
	openReasons(schemas["Error"].(map[string]any))
	return json.Marshal(root)
}

// allowNulls lets a property be null where its Go field can be nil: Huma does
// so for all but objects with a schema of their own.
func allowNulls(schema map[string]any, t reflect.Type) {
	properties, ok := schema["properties"].(map[string]any)
	if !ok || t == nil || t.Kind() != reflect.Struct {
		return
	}
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		property, ok := properties[name].(map[string]any)
		if !ok || field.Type.Kind() != reflect.Pointer || field.Type.Elem().Kind() != reflect.Struct ||
			field.Type.Elem() == reflect.TypeFor[time.Time]() || strings.Contains(options, "omit") {
			continue
		}
		if ref, ok := property["$ref"]; ok {
			delete(property, "$ref")
			property["anyOf"] = []any{map[string]any{"$ref": ref}, map[string]any{"type": "null"}}
		}
	}
}

// separate opens the schemas of answers and keeps those of requests closed.
func separate(paths, schemas map[string]any) {
	sent, answered := map[string]bool{}, map[string]bool{}
	for _, op := range eachOperation(paths) {
		reach(op["requestBody"], schemas, sent)
		reach(op["responses"], schemas, answered)
	}
	both := map[string]bool{}
	for name := range sent {
		if answered[name] {
			both[name] = true
			schemas[name+"Input"] = copyOf(schemas[name])
		}
	}
	for name := range sent {
		if both[name] {
			name += "Input"
		}
		redirect(schemas[name], both)
	}
	for _, op := range eachOperation(paths) {
		redirect(op["requestBody"], both)
	}
	for name := range answered {
		open(schemas[name])
	}
}

func eachOperation(paths map[string]any) []map[string]any {
	var all []map[string]any
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for _, op := range paths[path].(map[string]any) {
			if op, ok := op.(map[string]any); ok {
				all = append(all, op)
			}
		}
	}
	return all
}

// eachObject visits every object in a value.
func eachObject(value any, visit func(map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		visit(value)
		for _, v := range value {
			eachObject(v, visit)
		}
	case []any:
		for _, v := range value {
			eachObject(v, visit)
		}
	}
}

// reach notes the schemas that value names, and those that they name.
func reach(value any, schemas map[string]any, names map[string]bool) {
	eachObject(value, func(object map[string]any) {
		ref, _ := object["$ref"].(string)
		name, ok := strings.CutPrefix(ref, schemaPrefix)
		if ok && !names[name] {
			names[name] = true
			reach(schemas[name], schemas, names)
		}
	})
}

// redirect lets value name the input's schema of the names.
func redirect(value any, names map[string]bool) {
	eachObject(value, func(object map[string]any) {
		ref, _ := object["$ref"].(string)
		if name, ok := strings.CutPrefix(ref, schemaPrefix); ok && names[name] {
			object["$ref"] = ref + "Input"
		}
	})
}

// open lets an object have more than the schema says.
func open(value any) {
	eachObject(value, func(object map[string]any) {
		if object["additionalProperties"] == false {
			delete(object, "additionalProperties")
		}
	})
}

func copyOf(value any) any {
	data, _ := json.Marshal(value) // it was JSON
	var copied any
	_ = json.Unmarshal(data, &copied)
	return copied
}

// openReasons lets a later version have more reasons: a client that is held to
// an enum could not read its errors.
func openReasons(schema map[string]any) {
	reason := schema["properties"].(map[string]any)["reason"].(map[string]any)
	reason["x-extensible-enum"] = reason["enum"]
	delete(reason, "enum")
}

// addHeaders describes the headers that refusals have, and leaves out those
// that an answer does not have.
func addHeaders(paths map[string]any) {
	header := func(kind, text string) map[string]any {
		return map[string]any{"description": text, "schema": map[string]any{"type": kind}}
	}
	retry := header("integer", "Seconds after which to try again.")
	for _, op := range eachOperation(paths) {
		for status, response := range op["responses"].(map[string]any) {
			response := response.(map[string]any)
			headers, _ := response["headers"].(map[string]any)
			switch status {
			case "401":
				response["headers"] = map[string]any{"WWW-Authenticate": header("string", "How to authenticate: "+challenge)}
			case "429", "503":
				response["headers"] = map[string]any{"Retry-After": retry}
			case "200": // the same Go type answers what makes a thing, with where it is
				delete(headers, "Location")
			}
		}
	}
}
