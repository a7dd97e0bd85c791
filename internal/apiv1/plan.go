// Package apiv1 is the REST API's words: the JSON of requests and answers
// under /v1. It imports the standard library only.
package apiv1

import "encoding/json"

// SignedPlan answers GET /v1/satellites/{id}/launches/{id}/plan. Launch and
// Plan are exact bytes as strings, since the signature is over Launch's bytes
// and Launch holds the digest of Plan's. The answer's ETag is Launch's digest.
type SignedPlan struct {
	Launch    string          `json:"launch"`       // launch.json
	Signature json.RawMessage `json:"signature"`    // launch.json.sig
	Plan      string          `json:"plan"`         // the plan document
	Bundle    string          `json:"bundle"`       // repository:tag of the bundle in the mothership's registry
	Index     string          `json:"index_digest"` // digest of the bundle's image index
}
