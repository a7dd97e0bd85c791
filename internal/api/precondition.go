package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// DryRunInput lets a request be tried.
type DryRunInput struct {
	DryRun string `query:"dry_run" enum:"true,false" doc:"true: checks everything and answers what the request would be answered with, with the header Dry-Run, and changes nothing: no audit row, no Idempotency-Key. What would be made has no id to keep: the next request makes another."`
}

// dryRunHeader is in the answer to a request that only tried.
const dryRunHeader = "Dry-Run"

// takesHeader reports whether an operation knows a header.
func takesHeader(op *huma.Operation, name string) bool {
	return slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "header" && p.Name == name })
}

// checkPrecondition refuses a change that says nothing of the state it was made
// for, where this server wants that.
func (s *server) checkPrecondition(c *codec, r *http.Request) error {
	if !s.requireIfMatch || !takesHeader(c.op, "If-Match") || r.Header.Get("If-Match") != "" {
		return nil
	}
	also := ""
	if takesHeader(c.op, "If-None-Match") {
		if r.Header.Get("If-None-Match") != "" {
			return nil
		}
		also = ", or If-None-Match: * to make what is not there"
	}
	return constellation.Errorf(constellation.KindPreconditionRequired,
		"this mothership takes a change only with If-Match: read what you change, and send its ETag as If-Match%s; * is any state", also)
}

// try runs an operation, and leaves no trace of it.
func (s *server) try(ctx context.Context, run func(*control.Service) (*response, error)) (answer *response, err error) {
	err = s.control.DryRun(ctx, func(service *control.Service) (err error) {
		answer, err = run(service)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"ETag", "Location"} { // of what there is not
		answer.header.Del(name)
	}
	answer.header.Set(dryRunHeader, "true")
	return answer, nil
}
