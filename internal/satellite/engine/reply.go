package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Limits of a call (reference section 1).
const (
	maxInput  = 10 << 20
	maxOutput = 15 << 20
	// maxReply is the most that is read of a langserver's reply: a binary
	// result of maxOutput in base64, and its metadata.
	maxReply = maxOutput/3*4 + 1<<20
	// maxMessage bounds a message made from a body that is no error object.
	maxMessage = 4 << 10
)

// ranOut is what the original says of a call that timed out or was killed.
const ranOut = "Failed to run algorithm - may have timed-out or hit out-of-memory error"

// outcome is how a call ended; a metric's label.
type outcome int

const (
	outcomeOK       outcome = iota
	outcomeError            // the algorithm raised
	outcomeTimeout          // the call's time-out passed
	outcomeLost             // the replica was lost, or its reply cannot be read
	outcomeCanceled         // the caller went away
	outcomeFull             // the queue was full: 429
	outcomeNone             // no replica was ready: 503
	outcomeRefused          // the request was at fault: 4xx
	outcomeFault            // the engine was at fault: 500
	outcomes
)

var outcomeNames = [outcomes]string{
	"ok", "algorithm_error", "timeout", "replica_lost", "canceled", "queue_full", "no_replica", "refused", "fault",
}

func (o outcome) String() string { return outcomeNames[o] }

// failure is a call's error as the caller reads it, and nothing of its cause.
type failure struct {
	status     int // 200 for what happened to a well-formed request
	outcome    outcome
	message    string
	errorType  string // "" leaves it out
	stacktrace string // "" leaves it out
	retryAfter int    // seconds; 0 sends no header
	cause      error  // for the log

	seconds time.Duration // the replica's own measure; 0 or less when unknown
	stdout  []byte        // a raw JSON string, or nil
}

// duration is metadata.duration of a failed call.
func (f *failure) duration(c *call) time.Duration {
	if f.seconds > 0 {
		return f.seconds
	}
	return c.run
}

// Error gives the message, and the cause for the log.
func (f *failure) Error() string {
	if f.cause != nil {
		return f.message + ": " + f.cause.Error()
	}
	return f.message
}

// Unwrap gives the cause.
func (f *failure) Unwrap() error { return f.cause }

func refuse(status int, message string) *failure {
	return &failure{status: status, outcome: outcomeRefused, message: message}
}

func raised(errorType, message string) *failure {
	return &failure{status: http.StatusOK, outcome: outcomeError, errorType: errorType, message: message}
}

func timedOut() *failure {
	return &failure{status: http.StatusOK, outcome: outcomeTimeout, errorType: "TimeoutError", message: ranOut}
}

func lost(cause error) *failure {
	return &failure{status: http.StatusOK, outcome: outcomeLost, errorType: "SystemError", message: ranOut, cause: cause}
}

func unreadable(message string) *failure {
	return &failure{status: http.StatusOK, outcome: outcomeLost, errorType: "ParsingError", message: message}
}

func tooLarge() *failure {
	return raised("TooLargeError", "the result is larger than 15 MiB")
}

// resultKind is a result's content type in metadata.
type resultKind string

const (
	kindText   resultKind = "text"
	kindJSON   resultKind = "json"
	kindBinary resultKind = "binary"
	kindVoid   resultKind = "void"
)

// result is what an algorithm answered. Its bytes live in body, which the
// call releases after the response is written.
type result struct {
	kind resultKind
	// raw is the JSON of the result; nil when plain holds it.
	raw []byte
	// plain is the result of an http algorithm: text or bytes as they came.
	plain    []byte
	duration time.Duration
	stdout   []byte // a raw JSON string, or nil
	body     *buffer
}

// check holds a result to the size limit, and its kind to its value.
func (r *result) check() *failure {
	if r.plain != nil {
		if len(r.plain) > maxOutput {
			return tooLarge()
		}
		return nil
	}
	limit := maxOutput
	switch r.kind {
	case kindBinary:
		limit = maxReply
		if !isString(r.raw) {
			r.kind = kindJSON
		}
	case kindText:
		if !isString(r.raw) {
			r.kind = kindJSON
		}
	case kindVoid, kindJSON:
	default: // not told, or a word we do not know
		switch {
		case isString(r.raw):
			r.kind = kindText
		case isNull(r.raw):
			r.kind = kindVoid
		default:
			r.kind = kindJSON
		}
	}
	if len(r.raw) > limit {
		return tooLarge()
	}
	return nil
}

var (
	typeJSON   = []string{"application/json"}
	typeText   = []string{"text/plain; charset=utf-8"}
	typeBinary = []string{"application/octet-stream"}
)

// writeResult answers in the default form:
// {"result":…,"metadata":{"content_type":…,"duration":…}}.
func writeResult(w http.ResponseWriter, c *call, r *result) error {
	head := newBuffer(512)
	tail := newBuffer(256 + len(r.stdout))
	defer head.release()
	defer tail.release()
	head.b = append(head.b, `{"result":`...)
	raw := r.raw
	switch {
	case r.kind == kindVoid:
		raw = []byte("null")
	case r.plain != nil && r.kind == kindText:
		head.grow(len(head.b) + len(r.plain) + len(r.plain)/8 + 512)
		head.b = appendQuoted(head.b, r.plain)
	case r.plain != nil && r.kind == kindBinary:
		head.grow(len(head.b) + base64.StdEncoding.EncodedLen(len(r.plain)) + 512)
		head.b = append(head.b, '"')
		head.b = base64.StdEncoding.AppendEncode(head.b, r.plain)
		head.b = append(head.b, '"')
	}
	tail.b = append(tail.b, `,"metadata":{"content_type":"`...)
	tail.b = append(tail.b, r.kind...)
	tail.b = append(tail.b, `",`...)
	tail.b = c.appendMetadata(tail.b, r.duration, r.stdout)
	tail.b = append(tail.b, `}}`...)

	header := w.Header()
	header["Content-Type"] = typeJSON
	header["Content-Length"] = []string{strconv.Itoa(len(head.b) + len(raw) + len(tail.b))}
	w.WriteHeader(http.StatusOK)
	if len(raw) <= smallBody {
		head.b = append(append(head.b, raw...), tail.b...)
		_, err := w.Write(head.b)
		return err
	}
	for _, part := range [...][]byte{head.b, raw, tail.b} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// appendMetadata appends the fields that results and errors share.
func (c *call) appendMetadata(dst []byte, duration time.Duration, stdout []byte) []byte {
	dst = append(dst, `"duration":`...)
	dst = appendSeconds(dst, duration)
	if c.timing {
		dst = append(dst, `,"timing":{"running":`...)
		dst = appendSeconds(dst, c.run)
		dst = append(dst, `,"total":`...)
		dst = appendSeconds(dst, time.Since(c.start))
		dst = append(dst, '}')
	}
	if c.stdout {
		dst = append(dst, `,"stdout":`...)
		if stdout == nil {
			stdout = []byte(`""`)
		}
		dst = append(dst, stdout...)
	}
	return dst
}

func appendSeconds(dst []byte, d time.Duration) []byte {
	return strconv.AppendFloat(dst, max(0, d.Seconds()), 'f', -1, 64)
}

// writeRaw answers output=raw: the bare result with its own content type.
func writeRaw(w http.ResponseWriter, r *result) error {
	var body []byte
	header := w.Header()
	switch r.kind {
	case kindVoid:
	case kindText:
		header["Content-Type"] = typeText
		if body = r.plain; body == nil {
			body = unquote(r.raw)
		}
	case kindBinary:
		header["Content-Type"] = typeBinary
		if body = r.plain; body == nil {
			decoded, err := decodeBase64(unquote(r.raw))
			if err != nil {
				return unreadable("the algorithm's binary result is not base64")
			}
			defer decoded.release()
			body = decoded.b
		}
	default:
		header["Content-Type"] = typeJSON
		body = compact(r.raw)
	}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(body)
	return err
}

// compact gives valid JSON without the space around its tokens.
func compact(raw []byte) []byte {
	if !bytes.ContainsAny(raw, " \n\t\r") {
		return raw
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// decodeBase64 accepts standard and URL alphabets, padded or not.
func decodeBase64(s []byte) (*buffer, error) {
	s = bytes.TrimRight(bytes.TrimSpace(s), "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	b := newBuffer(encoding.DecodedLen(len(s)))
	decoded, err := encoding.AppendDecode(b.b, s)
	if err != nil {
		b.release()
		return nil, err
	}
	b.b = decoded
	return b, nil
}

// writeFailure answers an error object, flat strings only. A call that ran
// has metadata; c is nil for requests that were not a call.
func writeFailure(w http.ResponseWriter, c *call, f *failure) error {
	status, stdout := f.status, f.stdout
	ran := c != nil && status == http.StatusOK
	if ran && c.raw {
		status = http.StatusBadRequest
	}
	b := newBuffer(1024 + len(f.message) + len(f.stacktrace) + len(stdout))
	defer b.release()
	b.b = append(b.b, `{"error":{"message":`...)
	b.b = appendQuoted(b.b, f.message)
	if f.stacktrace != "" {
		b.b = append(b.b, `,"stacktrace":`...)
		b.b = appendQuoted(b.b, f.stacktrace)
	}
	if f.errorType != "" {
		b.b = append(b.b, `,"error_type":`...)
		b.b = appendQuoted(b.b, f.errorType)
	}
	b.b = append(b.b, '}')
	if ran {
		b.b = append(b.b, `,"metadata":{`...)
		b.b = c.appendMetadata(b.b, f.duration(c), stdout)
		b.b = append(b.b, '}')
	}
	b.b = append(b.b, '}')
	header := w.Header()
	header["Content-Type"] = typeJSON
	header["Content-Length"] = []string{strconv.Itoa(len(b.b))}
	header["X-Content-Type-Options"] = []string{"nosniff"}
	if f.retryAfter > 0 {
		header["Retry-After"] = []string{strconv.Itoa(f.retryAfter)}
	}
	w.WriteHeader(status)
	_, err := w.Write(b.b)
	return err
}
