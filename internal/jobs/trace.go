package jobs

import (
	"context"
	"encoding/json"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/constellation-serving/constellation/internal/tracing"
)

// traceKey is where a job's metadata have the trace context of who inserted it.
const traceKey = "traceparent"

// traced returns options with the trace context of ctx, if it has one.
func traced(ctx context.Context, options *river.InsertOpts) *river.InsertOpts {
	parent := tracing.Text(ctx)
	if parent == "" {
		return options
	}
	with := river.InsertOpts{}
	if options != nil {
		with = *options
	}
	metadata := map[string]json.RawMessage{}
	if len(with.Metadata) > 0 && json.Unmarshal(with.Metadata, &metadata) != nil {
		return options
	}
	metadata[traceKey], _ = json.Marshal(parent) // a text
	with.Metadata, _ = json.Marshal(metadata)    // of what was JSON
	return &with
}

// traces makes a span of each attempt at a job, below that of the request which
// inserted it.
type traces struct {
	river.MiddlewareDefaults
	tracer *tracing.Tracer
}

// Work is part of rivertype.WorkerMiddleware.
func (t *traces) Work(ctx context.Context, job *rivertype.JobRow, do func(context.Context) error) error {
	if t.tracer == nil {
		return do(ctx)
	}
	var metadata struct {
		Traceparent string `json:"traceparent"`
	}
	_ = json.Unmarshal(job.Metadata, &metadata) // without, the job is a trace of its own
	ctx, span := t.tracer.Start(tracing.FromText(ctx, metadata.Traceparent), "job "+job.Kind, tracing.Consumer)
	span.SetInt("constellation.job.id", job.ID)
	span.SetInt("constellation.job.attempt", int64(job.Attempt))
	span.Set("constellation.job.queue", job.Queue)
	err := do(ctx)
	ended := outcome(err)
	span.Set("constellation.job.outcome", ended)
	if ended == "again" { // is its next part
		span.End(nil)
	} else {
		span.End(err)
	}
	return err
}
