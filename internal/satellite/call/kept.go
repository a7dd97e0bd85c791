package call

import (
	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// Kept returns what is kept of a call that nobody waits for, and that has ended
// with reply, or with f. It releases the reply, whose share is the outcome's to
// release.
func (c *Call) Kept(reply protocol.Reply, f *protocol.Failure) async.Outcome {
	out := async.Outcome{Ended: c.Outcome, Replica: c.Replica, Run: c.Run}
	if f != nil {
		out.Ended, out.Message, out.ErrorType, out.Retry = f.Outcome, f.Message, f.ErrorType, isRetryable(f)
		if f.Cause != nil {
			out.Cause = f.Cause.Error()
		}
		reply.Release()
		reply = c.ErrorReply(f)
	}
	out.Status, out.ContentType = reply.Status, reply.ContentType
	out.Body = make([]byte, 0, reply.Length())
	for _, part := range reply.Parts {
		out.Body = append(out.Body, part...)
	}
	share := reply.Share
	reply.Share = nil
	reply.Release()
	return out.WithRelease(share.Release)
}

// isRetryable reports whether a call that failed is worth another run: not
// what the algorithm raised or refused, and not an answer that cannot be read.
func isRetryable(f *protocol.Failure) bool {
	switch f.Outcome {
	case protocol.OutcomeLost:
		return f.Cause != nil
	case protocol.OutcomeFull, protocol.OutcomeNone, protocol.OutcomeFault, protocol.OutcomeCanceled:
		return true
	}
	return false
}
