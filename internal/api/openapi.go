package api

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

// The groups of the document, in the order that they are shown in.
const (
	tagAccount    = "Account"
	tagUsers      = "Users"
	tagServices   = "Service accounts"
	tagAlgorithms = "Algorithms"
	tagRegistries = "Registries"
	tagSatellites = "Satellites"
	tagLaunches   = "Launches"
	tagEvents     = "Events"
	tagSystem     = "System"

	tagNotifications = "Notifications"
)

const schemaPrefix = "#/components/schemas/"

const introduction = `Every request carries an API key in the Authorization header: Bearer KEY, Simple KEY or the bare key. Try yours: curl -H "Authorization: Bearer $KEY" and the address of /v1/account.
Images are pushed to this host by any OCI client, logged in with an account's name and, as the password, an admin key: OWNER/NAME:GIT_HASH, in lower case, registers that version of the algorithm.
Bodies and answers are JSON; times are RFC 3339 in UTC. Every failure is {"error":{"id","code","reason","message","fields"}}; reason is a word with one meaning for programs to go by.
The API's version is in the header Constellation-Api-Version of every answer, and here as x-api-version: "1.1" is /v1 with what was added to it once. Without a new first number there may come operations, optional parameters and fields of what you send, fields and headers of answers, and words of reason, status and state: let your program pass over what it does not know. All else is a new first number, and another path beside /v1. What you send is closed: a field that is not here is refused.
/openapi.json is this document, OpenAPI 3.1, to generate clients from: ogen, oapi-codegen and openapi-typescript read it as it is.
A method that an address does not take is answered with 405 and the header Allow; 429 and 503 have Retry-After, in seconds. Answers have RateLimit-Policy and RateLimit, as the IETF's draft has them: how many requests (q) a key may make in a window of w seconds, how many are left (r) and after how many seconds (t) all of them are back, "key-requests"; without a key, those of an address, "address-requests", "wrong-keys" and "token-exchanges"; and of reads, how many a key and its account may have under way at once, and how many more. A limit may be off; heartbeats have none.
Lists take q, sort, limit and marker; follow next_link until it is null. A page has at most about a mebibyte, and so perhaps fewer results than limit; lists inside results come only with expand. Answers are compressed for whom accepts gzip. A sort that the list does not know is refused with those it knows.
Only what is left out is unlimited: a filter or a limit that is empty or null, or names what there is not, is refused with 422.
A satellite's next version is the whole list (POST …/versions) or the latest one with one algorithm changed (PATCH …/versions/latest); what changes nothing makes none, and answers 200 with the latest one and "created": false.
A launch instance can be waited for: GET it with wait_for=running and, if you like, version=N or min_version=N and timeout=60s; with If-None-Match it answers 304 while nothing is new.
A satellite and a launch instance are put by their name: PUT with name=NAME and the whole of it makes it, or makes what has the name as it is here, and says in result which; the same again changes nothing. With dry_run=true a request that makes or changes one is checked whole and answered as it would be, and changes nothing.
A POST with an Idempotency-Key happens once: sent again, it answers the same, with the header Idempotent-Replayed.
Satellites, launch instances and versions of algorithms have an ETag: send it as If-Match with a change, and another editor's change in between answers 412. A mothership that is set up so takes changes of these only with If-Match, and answers 428 without.`

// config is Huma's, without what it adds to answers and addresses by itself.
func config(s *server, options Options) huma.Config {
	document := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Constellation", Version: orUnknown(options.Version), Description: introduction,
			Extensions: map[string]any{"x-api-version": apiv1.Version},
		},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "cst_…", Description: "Authorization: Bearer KEY"},
				"simple": {Type: "apiKey", In: "header", Name: "Authorization", Description: "Authorization: Simple KEY, or the bare key"},
			},
		},
		Security: []map[string][]string{{"bearer": {}}, {"simple": {}}},
		Servers:  []*huma.Server{{URL: orRoot(s.publicURL), Description: "This mothership"}},
	}
	for _, tag := range []string{tagAccount, tagUsers, tagServices, tagAlgorithms, tagRegistries, tagSatellites, tagLaunches, tagEvents, tagNotifications, tagSystem} {
		document.Tags = append(document.Tags, &huma.Tag{Name: tag})
	}
	format := huma.Format{Marshal: marshal, Unmarshal: json.Unmarshal}
	return huma.Config{OpenAPI: document, Formats: map[string]huma.Format{"application/json": format}, DefaultFormat: "application/json"}
}

func marshal(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

func orUnknown(version string) string {
	if version == "" {
		return "unknown"
	}
	return version
}

func orRoot(url string) string {
	if url == "" {
		return "/"
	}
	return url
}

// operation is the document's side of a route.
func operation(s *server, tag, pattern string, role constellation.Role, id, summary string) huma.Operation {
	method, path, _ := strings.Cut(pattern, " ")
	op := huma.Operation{
		OperationID: id, Method: method, Path: path, Tags: []string{tag}, Summary: summary,
		Description: needs(role),
		Extensions:  map[string]any{"x-role": string(role)},
		Responses:   map[string]*huma.Response{},
	}
	errors := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}
	if strings.Contains(path, "{") || method == http.MethodDelete {
		errors = append(errors, http.StatusNotFound)
	}
	switch method {
	case http.MethodPost:
		op.DefaultStatus = http.StatusCreated
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "Any text of your own, 1 to 255 printable ASCII characters, such as a UUID: the request happens once, however often it is sent with the same one. Its answer is kept for 24 hours, beside the change, for the account: with another key of the account, another path or another body it answers 409. A request that failed is not kept and can be sent again; with dry_run nothing is.",
		})
		fallthrough
	case http.MethodPatch, http.MethodPut:
		errors = append(errors, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired, http.StatusUnsupportedMediaType)
	case http.MethodDelete:
		op.DefaultStatus = http.StatusNoContent
		errors = append(errors, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired)
	}
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[apiv1.ErrorBody](), true, "")
	for _, status := range errors {
		media := &huma.MediaType{Schema: schema}
		if status != http.StatusUnprocessableEntity { // whose example has fields: see exemplify
			media.Example = apiv1.ErrorBody{Error: apiv1.Error{ID: "01JD3Z7Q4W5V6X7Y8Z9A0B1C2D", Code: httpserve.CodeOf(reasons[status]), Reason: reasons[status], Message: meanings[status]}}
		}
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: meanings[status], Content: map[string]*huma.MediaType{"application/json": media}}
	}
	return op
}

// role returns the role that an operation needs of everybody who asks.
func role(op *huma.Operation) constellation.Role {
	if r := constellation.Role(op.Extensions["x-role"].(string)); r != owner {
		return r
	}
	return viewer
}

// needs returns the sentence on who may ask.
func needs(role constellation.Role) string {
	switch role {
	case admin:
		return "Needs a key with the role admin."
	case owner:
		return "Needs a key of the user's own, or one with the role admin."
	}
	if role == launchToken {
		return "Needs the launch instance's own token, which is in its bundle: Authorization: Bearer TOKEN."
	}
	return "Needs a key with the role " + string(role) + " or higher."
}

// meanings are what a status says here, for the document.
var meanings = map[int]string{
	http.StatusBadRequest:            "The request cannot be read: its JSON or its query is malformed, and the message says where.",
	http.StatusUnauthorized:          "The key is missing, wrong, expired or revoked.",
	http.StatusForbidden:             "The key's role or satellite does not allow this.",
	http.StatusNotFound:              "There is no such thing, or none that this key may see.",
	http.StatusConflict:              "The name is taken, the thing is in use, base is not the latest version, or the Idempotency-Key came with another request.",
	http.StatusPreconditionFailed:    "Somebody else changed it since the state that If-Match names.",
	http.StatusPreconditionRequired:  "This mothership is set up to take changes only with If-Match.",
	http.StatusRequestEntityTooLarge: "The body is larger than 1 MiB.",
	http.StatusUnsupportedMediaType:  "The body is not application/json.",
	http.StatusUnprocessableEntity:   "The request reads, and breaks a rule; fields says which.",
	http.StatusTooManyRequests:       "Too many requests in a while, or at once; Retry-After says when to try again.",
	http.StatusInternalServerError:   "A fault of the server; its log has the id.",
	http.StatusServiceUnavailable:    "The server starts, or has no database or no room on its disk; the message says which. Try again later.",
}

// reasons are what a status usually comes with, for examples.
var reasons = map[int]apiv1.Reason{
	http.StatusBadRequest:            apiv1.ReasonMalformedJSON,
	http.StatusUnauthorized:          apiv1.ReasonBadKey,
	http.StatusForbidden:             apiv1.ReasonForbidden,
	http.StatusNotFound:              apiv1.ReasonNotFound,
	http.StatusConflict:              apiv1.ReasonNameTaken,
	http.StatusPreconditionFailed:    apiv1.ReasonPreconditionFailed,
	http.StatusPreconditionRequired:  apiv1.ReasonPreconditionRequired,
	http.StatusRequestEntityTooLarge: apiv1.ReasonTooLarge,
	http.StatusUnsupportedMediaType:  apiv1.ReasonUnsupportedMedia,
	http.StatusTooManyRequests:       apiv1.ReasonRateLimited,
	http.StatusInternalServerError:   apiv1.ReasonInternal,
	http.StatusServiceUnavailable:    apiv1.ReasonUnavailable,
}

// ensures are the operations that make a thing or find it made already.
var ensures = []string{"createSatelliteVersion", "patchSatelliteVersion", "putSatellite", "putLaunch"}

// answerTwice gives an operation that ensures something both its answers.
func answerTwice(op *huma.Operation) {
	answer := *op.Responses[strconv.Itoa(op.DefaultStatus)]
	for status, meaning := range map[int]string{
		http.StatusOK:      "There was nothing to change; this is what there is.",
		http.StatusCreated: "It was made.",
	} {
		answer.Description = meaning
		copied := answer
		op.Responses[strconv.Itoa(status)] = &copied
	}
}

// exemplify adds an example to every body of the document, made from the
// examples of its fields.
func exemplify(document *huma.OpenAPI) {
	registry := document.Components.Schemas
	for _, op := range operations(document) {
		if op.Method == http.MethodGet && takesHeader(op, "If-None-Match") {
			op.Responses["304"] = &huma.Response{Description: "It is still what If-None-Match names."}
		}
		if slices.Contains(ensures, op.OperationID) {
			answerTwice(op)
		}
		if op.OperationID == importID {
			acceptLater(op.Responses)
		}
		for _, status := range unanswered(op) {
			delete(op.Responses, strconv.Itoa(status))
		}
		if op.RequestBody != nil {
			for _, media := range op.RequestBody.Content {
				media.Example = example(registry, media.Schema, 0)
			}
		}
		for _, response := range op.Responses {
			for _, media := range response.Content {
				if media.Example != nil {
					continue
				}
				media.Example = example(registry, media.Schema, 0)
			}
		}
	}
}

// unanswered are the statuses that others of its sort have and an operation
// cannot be answered with.
func unanswered(op *huma.Operation) []int {
	statuses := slices.Clone(never[op.OperationID])
	if !takesHeader(op, "If-Match") {
		statuses = append(statuses, http.StatusPreconditionFailed, http.StatusPreconditionRequired)
	}
	if op.RequestBody != nil {
		return statuses
	}
	if !slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "query" }) { // what is wrong with a path is not found, or malformed
		statuses = append(statuses, http.StatusUnprocessableEntity)
	}
	return append(statuses, http.StatusUnsupportedMediaType)
}

// never are statuses that nothing in an operation's own code leads to.
var never = map[string][]int{
	"getAccount":                    {http.StatusForbidden},                      // whoever has a key may ask whose it is
	"heartbeat":                     {http.StatusForbidden, http.StatusConflict}, // a token is its launch's, or unknown
	"deleteSatellite":               {http.StatusConflict},                       // what refers to it goes with it
	"deleteLaunch":                  {http.StatusConflict},                       // what refers to it goes with it
	"revokeSatelliteKey":            {http.StatusConflict},                       // a revoked one stays so
	"updateAlgorithmVersion":        {http.StatusConflict},                       // nothing of it has to be its own
	"putSatellite":                  {http.StatusConflict},                       // what somebody else made in between is put then
	"putLaunch":                     {http.StatusConflict},                       // what somebody else made in between is put then
	"revokeUserKey":                 {http.StatusConflict},                       // a revoked one stays so
	"updateServiceAccount":          {http.StatusConflict},                       // people are the last admins
	"deleteServiceAccount":          {http.StatusConflict},                       // what refers to it goes with it
	"putQuota":                      {http.StatusConflict, http.StatusNotFound},  // the later one holds, of an owner that need not be there yet
	"deleteQuota":                   {http.StatusConflict},                       // nothing refers to it
	"putRetentionRule":              {http.StatusConflict},                       // the later one holds
	"deleteRetentionRule":           {http.StatusConflict},                       // nothing refers to it
	"deleteTokenRule":               {http.StatusConflict},                       // its keys run out by themselves
	importID:                        {http.StatusNotFound},                       // what is not there yet is made
	"deleteRegistry":                {http.StatusConflict},                       // nothing hangs on it
	"updateRegistry":                {http.StatusConflict},                       // its host stays
	"updateMirror":                  {http.StatusConflict},                       // its source stays
	"deleteMirror":                  {http.StatusConflict},                       // its versions stay
	"deleteMirrorWebhook":           {http.StatusConflict},                       // nothing hangs on it
	"exchangeToken":                 {http.StatusConflict},                       // each exchange makes a key of its own
	"deleteNotificationDestination": {http.StatusConflict},                       // what waits for it has failed
	"deleteNotificationRule":        {http.StatusConflict},                       // what it waits to tell goes with it
}

// example makes a value that fits schema.
func example(registry huma.Registry, schema *huma.Schema, depth int) any {
	schema = resolve(registry, schema)
	switch {
	case schema == nil || depth > 8:
		return nil
	case len(schema.Examples) > 0:
		return schema.Examples[0]
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	}
	switch schema.Type {
	case huma.TypeObject:
		object := map[string]any{}
		for name, property := range schema.Properties {
			object[name] = example(registry, property, depth+1)
		}
		return object
	case huma.TypeArray:
		return []any{example(registry, schema.Items, depth+1)}
	case huma.TypeInteger, huma.TypeNumber:
		return 1
	case huma.TypeBoolean:
		return false
	case huma.TypeString:
		switch schema.Format {
		case "date-time":
			return "2040-01-31T12:00:00Z"
		case "uuid":
			return "0b5c3f0e-6f0d-4f7e-9d56-0f6c8b1f3a52"
		}
		return "…"
	}
	return nil
}

func resolve(registry huma.Registry, schema *huma.Schema) *huma.Schema {
	for schema != nil && schema.Ref != "" {
		schema = registry.SchemaFromRef(schema.Ref)
	}
	return schema
}

func propertyNames(schema *huma.Schema) []string {
	names := make([]string, 0, len(schema.Properties))
	for name := range schema.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// operations returns the document's operations by path, reads before writes.
func operations(document *huma.OpenAPI) []*huma.Operation {
	var list []*huma.Operation
	paths := make([]string, 0, len(document.Paths))
	for path := range document.Paths {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		item := document.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op != nil {
				list = append(list, op)
			}
		}
	}
	return list
}
