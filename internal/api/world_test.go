package api

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// checkErrorShape wants exactly {"error":{"id","code","message","fields"?}}.
func checkErrorShape(t *testing.T, what string, resp *http.Response) apiv1.Error {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: read the answer: %v", what, err)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: Content-Type = %q, want application/json", what, got)
	}
	var raw map[string]map[string]any
	var body apiv1.ErrorBody
	if json.Unmarshal(data, &raw) != nil || json.Unmarshal(data, &body) != nil || len(raw) != 1 {
		t.Errorf("%s: the answer %.200s is not the error form", what, data)
		return apiv1.Error{}
	}
	for name := range raw["error"] {
		switch name {
		case "id", "code", "message", "fields":
		default:
			t.Errorf("%s: the error has a field %q", what, name)
		}
	}
	if body.Error.ID == "" || body.Error.Code == 0 || body.Error.Message == "" {
		t.Errorf("%s: the error %.200s lacks id, code or message", what, data)
	}
	return body.Error
}
