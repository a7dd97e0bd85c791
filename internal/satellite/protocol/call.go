package protocol

import (
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/memory"
)

// Call is what a call's bytes depend on: those that its replica gets, and
// those that its caller does.
type Call struct {
	ID         string
	Start      time.Time
	Langserver bool   // the replica speaks langserver's HTTP, else it gets HTTP as is
	Head       []byte // the request line and fixed headers, up to the Host value

	Timeout time.Duration
	Raw     bool
	Void    bool // its caller does not wait for the result
	stdout  bool
	timing  bool

	mediaType string // canonical: what a langserver accepts
	fullType  string // the caller's own, for http algorithms
	base64    bool
	Trace     Trace

	Run   time.Duration // how long the replica took
	Share *memory.Share // of the replies' budget
}

// Answer is a replica's HTTP response, read to its end. The caller frees body.
type Answer struct {
	Status      int
	ContentType string
	Body        *memory.Buffer
}

// Deadline returns when the call's time-out passes. It counts from the call's
// arrival.
func (c *Call) Deadline() time.Time { return c.Start.Add(c.Timeout) }

// AnswerLimit returns the most that is to be read of a replica's answer.
func (c *Call) AnswerLimit() int {
	if c.Langserver {
		return MaxReply
	}
	return MaxOutput
}

// ReadAnswer returns the result or the failure that a replica answered. The result
// takes the answer's body over.
func (c *Call) ReadAnswer(a Answer) (Result, *Failure) {
	var (
		res Result
		f   *Failure
	)
	if c.Langserver {
		var (
			stdout   []byte
			duration time.Duration
		)
		res, stdout, duration, f = readLangserver(a)
		res.stdout, res.duration = stdout, duration
		if f != nil {
			f.seconds = duration
			if c.stdout {
				f.stdout = append([]byte(nil), stdout...) // it outlives the reply's buffer
			}
		}
	} else {
		res, f = readHTTP(a)
		res.duration = -1
	}
	if f != nil {
		a.Body.Release()
		return Result{}, f
	}
	if res.duration < 0 {
		res.duration = c.Run
	}
	res.body = a.Body
	return res, nil
}
