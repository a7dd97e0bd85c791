package api

import (
	"strings"
	"testing"
)

// TestMarkupEscapes renders a page of texts that are HTML.
func TestMarkupEscapes(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script>`
	field := docsField{Name: evil, In: evil, Type: evil, Description: evil, Required: true}
	page := docsPage{Version: evil, Introduction: []string{evil}, Groups: []docsGroup{{Name: evil, Anchor: evil, Operations: []docsOperation{{
		ID: evil, Method: evil, Path: evil, Summary: evil, Description: evil, Parameters: []docsField{field}, Fields: []docsField{field},
		Request: evil, Answer: evil, Status: evil, Errors: []docsError{{evil, evil}},
	}}}}}.html()
	if strings.Contains(page, "<script>") || strings.Contains(page, `"">`) {
		t.Errorf("a text is taken for HTML:\n%s", page)
	}
	if strings.Contains(page, "%!") {
		t.Errorf("a piece lacks a value:\n%s", page)
	}
}
