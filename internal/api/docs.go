package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
)

// addDocs serves the OpenAPI document and returns its readable form. Both are
// made once: a document that cannot be rendered is a fault of this program.
func addDocs(router chi.Router, document *huma.OpenAPI) string {
	exemplify(document)
	describeSorts(document)
	spec, err := publish(document)
	if err != nil {
		panic("encode the OpenAPI document: " + err.Error())
	}
	router.Get("/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(spec) // fails only for a client that is gone
	})
	return newDocsPage(document).html()
}

type docsPage struct {
	Version      string
	Introduction []string
	Groups       []docsGroup
}

type docsGroup struct {
	Name, Anchor string
	Operations   []docsOperation
}

type docsOperation struct {
	ID, Method, Path, Summary, Description string
	Parameters                             []docsField
	Fields                                 []docsField // of the request's body
	Request, Answer                        string      // examples
	Status                                 string      // of a success
	Errors                                 []docsError
}

type docsField struct {
	Name, In, Type, Description string
	Required                    bool
}

type docsError struct{ Status, Meaning string }

func newDocsPage(document *huma.OpenAPI) docsPage {
	page := docsPage{
		Version:      document.Info.Version,
		Introduction: strings.Split(document.Info.Description, "\n"),
	}
	for _, tag := range document.Tags {
		group := docsGroup{Name: tag.Name, Anchor: strings.ToLower(tag.Name)}
		for _, op := range operations(document) {
			if slices.Contains(op.Tags, tag.Name) {
				group.Operations = append(group.Operations, newDocsOperation(document.Components.Schemas, op))
			}
		}
		page.Groups = append(page.Groups, group)
	}
	return page
}

func newDocsOperation(registry huma.Registry, op *huma.Operation) docsOperation {
	d := docsOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary, Description: op.Description}
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, docsField{
			Name: p.Name, In: p.In, Type: typeOf(registry, p.Schema), Description: p.Description, Required: p.Required,
		})
	}
	if op.RequestBody != nil {
		media := op.RequestBody.Content["application/json"]
		d.Request = indent(media.Example)
		schema := resolve(registry, media.Schema)
		for _, name := range propertyNames(schema) {
			property := schema.Properties[name]
			d.Fields = append(d.Fields, docsField{
				Name: name, Type: typeOf(registry, property), Description: property.Description,
				Required: slices.Contains(schema.Required, name),
			})
		}
	}
	statuses := make([]string, 0, len(op.Responses))
	for status := range op.Responses {
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	for _, status := range statuses {
		response := op.Responses[status]
		if status >= "400" {
			d.Errors = append(d.Errors, docsError{Status: status, Meaning: response.Description})
			continue
		}
		if d.Status != "" {
			d.Status += " "
		}
		d.Status += status + " " + response.Description
		if media := response.Content["application/json"]; media != nil {
			d.Answer = indent(media.Example)
		}
	}
	return d
}

func typeOf(registry huma.Registry, schema *huma.Schema) string {
	schema = resolve(registry, schema)
	switch {
	case schema == nil:
		return ""
	case schema.Type == huma.TypeArray:
		return "list of " + typeOf(registry, schema.Items)
	case schema.Format == "date-time":
		return "time"
	case schema.Type == "":
		return "any"
	}
	return schema.Type
}

func indent(value any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return ""
	}
	return strings.TrimSpace(b.String())
}
