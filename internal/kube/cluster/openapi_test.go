package cluster

import (
	"encoding/json"
	"testing"
)

// An aggregated server refers to the schemas of parts, a CRD's has them in place, and
// one may refer to itself.
func TestOpenAPIHas(t *testing.T) {
	t.Parallel()
	const gvk = `"x-kubernetes-group-version-kind":[{"group":"projectcalico.org","version":"v3","kind":"NetworkPolicy"}]`
	for document, want := range map[string]bool{
		`{"components":{"schemas":{
			"p":{` + gvk + `,"properties":{"spec":{"allOf":[{"$ref":"#/components/schemas/spec"}],"default":{}}}},
			"spec":{"properties":{"egress":{"type":"array","items":{"allOf":[{"$ref":"#/components/schemas/rule"}]}}}},
			"rule":{"properties":{"destination":{"$ref":"#/components/schemas/entity"}}},
			"entity":{"properties":{"domains":{"type":"array"}}}}}}`: true,
		`{"components":{"schemas":{"p":{` + gvk + `,"properties":{"spec":{"properties":{"egress":{"items":{"properties":{"destination":{"properties":{"domains":{}}}}}}}}}}}}}`: true,
		`{"components":{"schemas":{"p":{` + gvk + `,"properties":{"spec":{"properties":{"egress":{"items":{"properties":{"destination":{"properties":{"nets":{}}}}}}}}}}}}}`:    false,
		`{"components":{"schemas":{"p":{"properties":{"spec":{"properties":{"egress":{"items":{"properties":{"destination":{"properties":{"domains":{}}}}}}}}}}}}}`:             false,
		`{"components":{"schemas":{"p":{` + gvk + `,"$ref":"#/components/schemas/p"}}}}`:                                                                                        false,
		`{"components":{"schemas":{"p":{` + gvk + `,"properties":{"spec":null}}}}}`:                                                                                             false,
		`{}`: false,
	} {
		var d openAPI
		if err := json.Unmarshal([]byte(document), &d); err != nil {
			t.Fatal(err)
		}
		if got := d.has("projectcalico.org/v3", "NetworkPolicy", "spec", "egress", "[]", "destination", "domains"); got != want {
			t.Errorf("has = %v of %s, want %v", got, document, want)
		}
	}
}
