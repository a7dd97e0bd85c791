package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// maxReply is the most that is kept of a reply: a binary result of 15 MiB in
// base64, and its metadata.
const maxReply = (15<<20)/3*4 + 1<<20

// ranOut is what the original says of a call that was killed.
const ranOut = "Failed to run algorithm - may have timed-out or hit out-of-memory error"

// failure is an algorithm's error as clients know it.
type failure struct {
	Message    string `json:"message"`
	Type       string `json:"error_type,omitempty"`
	Stacktrace string `json:"stacktrace,omitempty"`
}

// outcome is what became of a call: exactly one of result, raised and failed
// is set. Result and raised are JSON.
type outcome struct {
	result      json.RawMessage
	contentType string
	raised      json.RawMessage // an error object, as the process wrote it
	failed      *failure

	took           time.Duration
	stdout, stderr string
}

var errNoReply = errors.New("the reply is neither a result nor an error")

// readReply reads what a pipe process wrote: {"result","metadata":{"content_type"}}
// or {"error":{…}}, and the same fields flat as an older guide has them.
func readReply(data []byte) (outcome, error) {
	var reply struct {
		Result   json.RawMessage `json:"result"`
		Error    json.RawMessage `json:"error"`
		Metadata struct {
			ContentType string `json:"content_type"`
		} `json:"metadata"`
		ContentType string `json:"content_type"`
		Message     string `json:"message"`
		Type        string `json:"error_type"`
		Stacktrace  string `json:"stacktrace"`
	}
	if err := json.Unmarshal(data, &reply); err != nil {
		return outcome{}, err
	}
	if reply.Error != nil && string(reply.Error) != "null" {
		return readError(reply.Error, reply.Type, reply.Stacktrace)
	}
	contentType := reply.Metadata.ContentType
	if contentType == "" {
		contentType = reply.ContentType
	}
	switch {
	case reply.Result != nil:
		return outcome{result: reply.Result, contentType: contentType}, nil
	case reply.Message != "":
		return outcome{failed: &failure{Message: reply.Message, Type: reply.Type, Stacktrace: reply.Stacktrace}}, nil
	case contentType != "": // a result of null
		return outcome{result: json.RawMessage("null"), contentType: contentType}, nil
	}
	return outcome{}, errNoReply
}

func readError(raw json.RawMessage, kind, stacktrace string) (outcome, error) {
	if raw[0] == '{' {
		return outcome{raised: raw}, nil
	}
	var message string
	if json.Unmarshal(raw, &message) != nil {
		message = string(raw)
	}
	return outcome{failed: &failure{Message: message, Type: kind, Stacktrace: stacktrace}}, nil
}

// append writes the outcome as langserver answers it.
func (o *outcome) append(b *bytes.Buffer) error {
	switch {
	case o.failed != nil:
		b.WriteString(`{"error":`)
		if err := encode(b, o.failed); err != nil {
			return err
		}
	case o.raised != nil:
		b.WriteString(`{"error":`)
		b.Write(o.raised)
	default:
		b.WriteString(`{"result":`)
		b.Write(o.result)
	}
	b.WriteString(`,"metadata":{"duration":`)
	b.WriteString(strconv.FormatFloat(o.took.Seconds(), 'f', -1, 64))
	for _, field := range [...]struct{ name, value string }{{"content_type", o.contentType}, {"stdout", o.stdout}, {"stderr", o.stderr}} {
		if field.name == "content_type" && field.value == "" {
			continue // whoever reads it tells by the value
		}
		b.WriteString(`,"` + field.name + `":`)
		if err := encode(b, strings.ToValidUTF8(field.value, "\uFFFD")); err != nil {
			return err
		}
	}
	b.WriteString(`}}`)
	return nil
}

// ending finds where a reply's JSON value ends, in time linear in its length,
// so that a process that keeps its FIFO open is understood too.
type ending struct {
	depth           int
	inString, slash bool
	started, done   bool
}

// feed reports whether the value is complete; only objects and arrays can be.
func (e *ending) feed(chunk []byte) bool {
	for _, c := range chunk {
		switch {
		case e.done:
			return true
		case e.slash:
			e.slash = false
		case e.inString:
			e.slash, e.inString = c == '\\', c != '"'
		case c == '"':
			e.inString, e.started = true, true
		case c == '{' || c == '[':
			e.depth, e.started = e.depth+1, true
		case c == '}' || c == ']':
			e.depth--
			e.done = e.depth <= 0
		}
	}
	return e.done
}
