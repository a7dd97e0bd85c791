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

// NameInput looks something up by its name.
type NameInput struct {
	Name string `query:"name" doc:"Keeps what has this as its whole name, ignoring case; of an algorithm OWNER/NAME." example:"Edge Berlin"`
}

// SatelliteFilter narrows satellites to what they run and how that does.
type SatelliteFilter struct {
	Algorithm string `query:"algorithm" doc:"Keeps the satellites whose latest version has this algorithm: OWNER/NAME, or OWNER/NAME/HASH for one version of it." example:"neo/hello"`
	Status    string `query:"status" enum:"up,degraded,stale,never_seen" doc:"Keeps the satellites that have a launch instance with this status."`
	Selector  string `query:"selector" maxLength:"1000" doc:"Keeps what has such labels, in Kubernetes' syntax: region=eu, tier!=staging, region in (eu,us), tier notin (dev), tier, !tier; with commas between, all of them." example:"region in (eu,us),tier!=dev"`
}

// NarrowInput narrows satellites, and the launch instances of all, by who made them, by
// when they expire, and by what runs another version than is wanted.
type NarrowInput struct {
	CreatedBy     string `query:"created_by" maxLength:"200" doc:"Keeps what this account made." example:"neo"`
	ExpiresBefore string `query:"expires_before" maxLength:"200" doc:"Keeps what expires before this, of a launch instance its satellite: a date, which begins at midnight UTC, a time in RFC 3339 form, or how long from now, such as 30d." example:"30d"`
	ExpiresAfter  string `query:"expires_after" maxLength:"200" doc:"Keeps what does not expire before this; as expires_before." example:"2027-01-31"`
	Behind        string `query:"behind" enum:"true,false" doc:"true keeps the launch instances that last said they run another version than is wanted, or the satellites that have such; false the others."`
	BehindFor     string `query:"behind_for" maxLength:"200" doc:"Keeps those that are behind for as long at least: a number of minutes, hours, days or weeks, such as 30m, 12h, 7d or 2w." example:"7d"`
}

func (in NarrowInput) narrowing() control.Narrowing {
	return control.Narrowing{CreatedBy: in.CreatedBy, ExpiresBefore: in.ExpiresBefore, ExpiresAfter: in.ExpiresAfter, Behind: in.Behind, BehindFor: in.BehindFor}
}

// LaunchFilter narrows launch instances to what they should run and how they do.
type LaunchFilter struct {
	Algorithm string `query:"algorithm" doc:"Keeps the launch instances whose satellite version has this algorithm: OWNER/NAME, or OWNER/NAME/HASH for one version of it." example:"neo/hello"`
	Status    string `query:"status" enum:"up,degraded,stale,never_seen" doc:"Keeps the launch instances with this status."`
	Selector  string `query:"selector" maxLength:"1000" doc:"Keeps what has such labels, in Kubernetes' syntax: region=eu, tier!=staging, region in (eu,us), tier notin (dev), tier, !tier; with commas between, all of them." example:"region in (eu,us),tier!=dev"`
}

// ExpandAlgorithms asks for what a list of satellites or versions leaves out.
type ExpandAlgorithms struct {
	Expand string `query:"expand" enum:"algorithms" doc:"algorithms: with the algorithms of each version. A page has fewer results then, when they are long."`
}

func (in ListInput) query() control.ListQuery {
	return control.ListQuery{Q: in.Q, Sort: in.Sort, Limit: in.Limit, Marker: in.Marker}
}

// listOutput is one page of a list. Its results are encoded while the page is
// made, since that is what tells where the page is full; Body has the rest of the
// page, and no Results.
type listOutput[T any] struct {
	Body apiv1.List[T]
	rows [][]byte // the results as JSON
	size int      // of all rows
}

// streamed is an output that writes its body as JSON itself.
type streamed interface {
	length() int // about how many bytes are written
	writeBody(w io.Writer) error
}

func (o *listOutput[T]) length() int { return o.size }

// add encodes a result as the next row, and reports false when the page is full
// without it. A page has at least one row.
func (o *listOutput[T]) add(result T) (bool, error) {
	var b bytes.Buffer
	if err := marshal(&b, result); err != nil {
		return false, fmt.Errorf("encode a result: %w", err)
	}
	row := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if o.size+len(row) > maxPage && len(o.rows) > 0 {
		return false, nil
	}
	o.rows = append(o.rows, row)
	o.size += len(row)
	return true, nil
}

// writeBody writes the page row by row, so that the whole answer is not copied
// once more.
func (o *listOutput[T]) writeBody(w io.Writer) error {
	next := `{"results":[`
	for _, row := range o.rows {
		if _, err := io.WriteString(w, next); err != nil {
			return err
		}
		if _, err := w.Write(row); err != nil {
			return err
		}
		next = ","
	}
	var b bytes.Buffer
	if len(o.rows) == 0 {
		b.WriteString(next)
	}
	b.WriteByte(']')
	end := b.Len()
	if err := marshal(&b, struct {
		Marker   *string `json:"marker"`
		NextLink *string `json:"next_link"`
	}{o.Body.Marker, o.Body.NextLink}); err != nil {
		return err
	}
	b.Bytes()[end] = ',' // one object of both
	_, err := b.WriteTo(w)
	return err
}

// maxPage is about how many bytes of results a page has, however many were
// asked for; one result it always has.
const maxPage = 1 << 20

// listed returns the answer of a page, cut where it has too many bytes.
func listed[D, W any](ctx context.Context, s *server, page control.Page[D], wire func(*D) W) (*listOutput[W], error) {
	out := &listOutput[W]{}
	for i := range page.Items {
		fits, err := out.add(wire(&page.Items[i]))
		if err != nil {
			return nil, err
		}
		if !fits {
			page.Cut(i)
			break
		}
	}
	if page.Marker != "" {
		next := *callOf(ctx).request.URL
		query := next.Query()
		query.Set("marker", page.Marker)
		next.RawQuery = query.Encode()
		link := s.publicURL + next.RequestURI()
		out.Body.Marker, out.Body.NextLink = &page.Marker, &link
	}
	return out, nil
}

// sorted names the list of control that each operation lists.
var sorted = map[string]string{
	"listUsers": "accounts", "listUserKeys": "api_keys", "listAlgorithms": "algorithms", "listAlgorithmVersions": "algorithm_versions",
	"listSatellites": "satellites", "listSatelliteVersions": "satellite_versions", "listSatelliteKeys": "satellite_keys",
	"listLaunches": "launches", "listEveryLaunch": "all_launches", "listEvents": "events",
	"listMirrors": "mirrors", "listRegistries": "registries",
	"listServiceAccounts": "accounts", "listTokenRules": "token_rules", "listOwnerUsage": "owner_usage", "listRepositoryUsage": "repository_usage",
	"listQuotas": "quotas", "listRetentionRules": "retention_rules",
	"listNotificationDestinations": "notification_destinations", "listNotificationRules": "notification_rules", "listNotificationDeliveries": "notification_deliveries",
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
