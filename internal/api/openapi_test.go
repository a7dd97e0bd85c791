package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// document reads /openapi.json as any client would.
func document(t *testing.T) map[string]any {
	t.Helper()
	w := httptest.NewRecorder()
	New(nil, Options{PublicURL: "https://mothership.example.com", Version: "1.2.3"}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("GET /openapi.json = %d", w.Code)
	}
	var document map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		t.Fatalf("parse /openapi.json: %v", err)
	}
	return document
}

func TestOpenAPIIsComplete(t *testing.T) {
	t.Parallel()
	doc := document(t)
	if got := doc["openapi"]; got != "3.1.0" {
		t.Errorf("openapi = %v, want 3.1.0", got)
	}
	security, _ := json.Marshal(doc["security"])
	if got, want := string(security), `[{"bearer":[]},{"simple":[]}]`; got != want {
		t.Errorf("security = %s, want %s", got, want)
	}
	ids := map[string]bool{}
	count := 0
	for path, item := range doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			count++
			checkOperation(t, strings.ToUpper(method)+" "+path, op.(map[string]any), ids)
		}
	}
	if count != 96 {
		t.Errorf("the document has %d operations, want 96", count)
	}
	checkReferences(t, doc)
}

func checkOperation(t *testing.T, name string, op map[string]any, ids map[string]bool) {
	t.Helper()
	id, _ := op["operationId"].(string)
	if id == "" || ids[id] {
		t.Errorf("%s: operationId %q is empty or used twice", name, id)
	}
	ids[id] = true
	if summary, _ := op["summary"].(string); summary == "" {
		t.Errorf("%s has no summary", name)
	}
	responses := op["responses"].(map[string]any)
	for _, status := range []string{"400", "401", "500", "503"} {
		if responses[status] == nil {
			t.Errorf("%s does not say when it answers %s", name, status)
		}
	}
	parameters, _ := json.Marshal(op["parameters"])
	if asks, says := strings.Contains(string(parameters), `"If-Match"`), responses["412"] != nil; asks != says {
		t.Errorf("%s: takes If-Match %v, answers 412 %v", name, asks, says)
	}
	success := 0
	for status, response := range responses {
		content, _ := json.Marshal(response)
		switch {
		case status < "400":
			success++
		case !strings.Contains(string(content), `"$ref":"#/components/schemas/ErrorBody"`):
			t.Errorf("%s answers %s with another schema than the error's", name, status)
		case response.(map[string]any)["description"] == "":
			t.Errorf("%s does not say what %s means", name, status)
		}
	}
	if success == 0 {
		t.Errorf("%s has no successful answer", name)
	}
	if body, ok := op["requestBody"]; ok && !strings.Contains(mustJSON(t, body), `"example":`) {
		t.Errorf("%s has a body without an example", name)
	}
	for _, match := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(name, -1) {
		if !slices.ContainsFunc(asList(op["parameters"]), func(p any) bool { return p.(map[string]any)["name"] == match[1] }) {
			t.Errorf("%s does not document %s", name, match[1])
		}
	}
	for _, p := range asList(op["parameters"]) {
		if p := p.(map[string]any); p["name"] == "sort" && !strings.HasPrefix(p["description"].(string), "One of ") {
			t.Errorf("%s does not say what it may be sorted by: %s", name, p["description"])
		}
		if p.(map[string]any)["description"] == nil {
			t.Errorf("%s: parameter %v has no description", name, p.(map[string]any)["name"])
		}
	}
}

// checkReferences wants every $ref to name something that is there.
func checkReferences(t *testing.T, doc map[string]any) {
	t.Helper()
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	for _, match := range regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(mustJSON(t, doc), -1) {
		if schemas[match[1]] == nil {
			t.Errorf("the schema %s is referred to and missing", match[1])
		}
	}
}

func mustJSON(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func asList(value any) []any {
	list, _ := value.([]any)
	return list
}

func TestReference(t *testing.T) {
	t.Parallel()
	page := New(nil, Options{}).Reference()
	for _, want := range []string{"/v1/satellites/{satellite_id}/versions/{number}/diff", "Make a satellite with its version 1", "If-None-Match", "&#34;vanity_url&#34;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the reference does not show %q", want)
		}
	}
	if found := regexp.MustCompile(`<script|<style|\sstyle=|\son\w+=|(src|href)="(https?:)?//`).FindString(page); found != "" {
		t.Errorf("the reference has %q, which the panel's policy forbids", found)
	}
}
