package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

// ListInput is what every list takes.
type ListInput struct {
	Q      string `query:"q" doc:"Keeps what has this in its name, ignoring case; at the start of it when no three letters or digits of this are in a row."`
	Sort   string `query:"sort" doc:"A field of the list, with - before it for descending." example:"-created_at"`
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"Results a page."`
	Marker string `query:"marker" doc:"The marker of the page before."`
}

// ExpandAlgorithms asks for what a list of satellites or versions leaves out.
type ExpandAlgorithms struct {
	Expand string `query:"expand" enum:"algorithms" doc:"algorithms: with the algorithms of each version. A page has fewer results then, when they are long."`
}

func (in ListInput) query() control.ListQuery {
	return control.ListQuery{Q: in.Q, Sort: in.Sort, Limit: in.Limit, Marker: in.Marker}
}

// listOutput is one page of a list, and about how many bytes its results have
// as JSON.
type listOutput[T any] struct {
	Body apiv1.List[T]
	size int
}

// streamed is an output that writes its body as JSON itself.
type streamed interface {
	length() int // about how many bytes are written
	writeBody(w io.Writer) error
}

func (o *listOutput[T]) length() int { return o.size }

// writeBody writes the page result by result, so that it never is in memory as
// a whole answer.
func (o *listOutput[T]) writeBody(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(`{"results":[`)
	for i := range o.Body.Results {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := marshal(&b, &o.Body.Results[i]); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // the line's end
		if _, err := b.WriteTo(w); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	next := b.Len()
	if err := marshal(&b, struct {
		Marker   *string `json:"marker"`
		NextLink *string `json:"next_link"`
	}{o.Body.Marker, o.Body.NextLink}); err != nil {
		return err
	}
	b.Bytes()[next] = ',' // one object of both
	_, err := b.WriteTo(w)
	return err
}

// maxPage is about how many bytes of results a page has, however many were
// asked for; one result it always has.
const maxPage = 1 << 20

// counter counts what is written.
type counter int

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// listed makes the answer of a page, cut where it has too many bytes.
func listed[D, W any](ctx context.Context, s *server, page control.Page[D], wire func(*D) W) (*listOutput[W], error) {
	list := apiv1.List[W]{Results: make([]W, 0, len(page.Items))}
	var size counter
	for i := range page.Items {
		result := wire(&page.Items[i])
		if err := marshal(&size, result); err != nil {
			return nil, fmt.Errorf("encode a result: %w", err)
		}
		if size > maxPage && i > 0 {
			page.Cut(i)
			break
		}
		list.Results = append(list.Results, result)
	}
	if page.Marker != "" {
		next := *callOf(ctx).request.URL
		query := next.Query()
		query.Set("marker", page.Marker)
		next.RawQuery = query.Encode()
		link := s.publicURL + next.RequestURI()
		list.Marker, list.NextLink = &page.Marker, &link
	}
	return &listOutput[W]{Body: list, size: int(size)}, nil
}

// sorted names the list of control that each operation lists.
var sorted = map[string]string{
	"listUsers": "accounts", "listUserKeys": "api_keys", "listAlgorithms": "algorithms", "listAlgorithmVersions": "algorithm_versions",
	"listSatellites": "satellites", "listSatelliteVersions": "satellite_versions", "listSatelliteKeys": "satellite_keys",
	"listLaunches": "launches", "listEvents": "events",
}

// describeSorts writes into the document what each list may be sorted by.
func describeSorts(document *huma.OpenAPI) {
	orders := control.Sorts()
	for _, op := range operations(document) {
		for _, p := range op.Parameters {
			if p.Name == "sort" {
				order := orders[sorted[op.OperationID]]
				p.Description = fmt.Sprintf("One of %s, with - before it for descending. Left out, %s.", strings.Join(order.Columns, ", "), order.Default)
			}
		}
	}
}

// listReason sets the reasons of a bad marker and a bad limit.
func listReason(err error) error {
	var e *constellation.Error
	if !errors.As(err, &e) || e.Kind != constellation.KindMalformed || len(e.Fields) != 1 {
		return err
	}
	switch e.Fields[0].Field {
	case "marker":
		return httpserve.WithReason(err, apiv1.ReasonBadMarker)
	case "limit":
		return httpserve.WithReason(err, apiv1.ReasonBadLimit)
	}
	return err
}
