package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/control"
)

// ListInput is what every list takes (DESIGN section 3).
type ListInput struct {
	Q      string `query:"q" doc:"Keeps what has this in its name, ignoring case; at the start of it when no three letters or digits of this are in a row."`
	Sort   string `query:"sort" doc:"A field of the list, with - before it for descending." example:"-created_at"`
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Results a page."`
	Marker string `query:"marker" doc:"The marker of the page before."`
}

func (in ListInput) query() control.ListQuery {
	return control.ListQuery{Q: in.Q, Sort: in.Sort, Limit: in.Limit, Marker: in.Marker}
}

// listOutput is one page of a list.
type listOutput[T any] struct{ Body apiv1.List[T] }

// listed makes the answer of a page.
func listed[D, W any](ctx context.Context, s *server, page control.Page[D], wire func(*D) W) *listOutput[W] {
	list := apiv1.List[W]{Results: make([]W, 0, len(page.Items))}
	for i := range page.Items {
		list.Results = append(list.Results, wire(&page.Items[i]))
	}
	if page.Marker != "" {
		next := *callOf(ctx).request.URL
		query := next.Query()
		query.Set("marker", page.Marker)
		next.RawQuery = query.Encode()
		link := s.publicURL + next.RequestURI()
		list.Marker, list.NextLink = &page.Marker, &link
	}
	return &listOutput[W]{Body: list}
}

// sorted names the list of control that each operation lists.
var sorted = map[string]string{
	"listUsers": "accounts", "listUserKeys": "api_keys", "listAlgorithms": "algorithms", "listAlgorithmVersions": "algorithm_versions",
	"listSatellites": "satellites", "listSatelliteVersions": "satellite_versions", "listSatelliteKeys": "satellite_keys",
	"listLaunches": "launches", "listEvents": "events",
}

// describeSorts says in the document what each list may be sorted by.
func describeSorts(document *huma.OpenAPI) {
	words := control.Sorts()
	for _, op := range operations(document) {
		for _, p := range op.Parameters {
			if p.Name == "sort" && words[sorted[op.OperationID]] != "" {
				p.Description = words[sorted[op.OperationID]]
			}
		}
	}
}
