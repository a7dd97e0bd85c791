// Package client is the Go client of the REST API under /v1. It knows the
// wire's words and nothing of the server.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/retry"
)

// maxAnswer is the most bytes of an answer that are read. A plan is the
// largest: a thousand algorithms' worth is a few megabytes.
const maxAnswer = 64 << 20

// How often a request is sent that a limit refuses, which does nothing then, and how
// long the mothership may ask to wait in between.
const (
	refusedMost = 5
	longestWait = time.Minute
)

// Client calls one mothership with one API key. It is safe for concurrent use. What a
// limit refuses (429) it sends again after the time that the answer asks for, unless
// that is more than a minute.
type Client struct {
	baseURL string
	key     string
	http    *http.Client
	limit   int64 // bytes of an answer
}

// New makes a client of the mothership at baseURL, such as
// https://mothership.example.com. httpClient nil is http.DefaultClient. No
// redirect is followed, whatever httpClient does: the key goes to baseURL alone.
func New(baseURL, key string, httpClient *http.Client) *Client {
	if httpClient == nil {
		httpClient = http.DefaultClient
	}
	own := *httpClient
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{baseURL: strings.TrimRight(baseURL, "/"), key: key, http: &own, limit: maxAnswer}
}

// Error is the mothership's answer to a request that it did not grant.
type Error struct {
	Status    int          // HTTP status
	Code      int          // one of apiv1's codes, 0 when the answer was not the API's
	Reason    apiv1.Reason // the sort of failure, "" when the answer was not the API's
	Message   string       // one sentence for the user
	Fields    []apiv1.FieldError
	RequestID string // names the failure in the mothership's log

	RetryAfter time.Duration // that the answer asks to wait, up to an hour; 0 when it does not
}

// Error returns the message, with what is wrong with each field.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the mothership answered %d: %s", e.Status, e.Message)
	if len(e.Fields) > 1 {
		for _, f := range e.Fields {
			fmt.Fprintf(&b, "; %s: %s", f.Field, f.Message)
		}
	}
	return b.String()
}

// IsNotFound reports whether err is the mothership's 404.
func IsNotFound(err error) bool { return hasStatus(err, http.StatusNotFound) }

// IsConflict reports whether err is the mothership's 409, such as a name that is
// taken.
func IsConflict(err error) bool { return hasStatus(err, http.StatusConflict) }

// IsPreconditionFailed reports whether err is the mothership's 412: somebody else
// changed the thing.
func IsPreconditionFailed(err error) bool { return hasStatus(err, http.StatusPreconditionFailed) }

// IsAuthentication reports whether err is the mothership's 401 or 403.
func IsAuthentication(err error) bool {
	return hasStatus(err, http.StatusUnauthorized) || hasStatus(err, http.StatusForbidden)
}

func hasStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}

// request is one call: what to send, and where to put the answer's body.
type request struct {
	method, path string
	query        url.Values
	header       map[string]string
	body         any
	into         any
}

// do sends a request and returns the answer's status and header; the error is
// an *Error when the mothership answered and did not grant it.
func (c *Client) do(ctx context.Context, r request) (int, http.Header, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return 0, nil, fmt.Errorf("encode %s %s: %w", r.method, r.path, err)
		}
	}
	var status int
	var header http.Header
	var answered error
	err := retry.Do(ctx, retry.Policy{Attempts: refusedMost}, func() error {
		status, header, answered = c.send(ctx, r, body)
		var e *Error
		if errors.As(answered, &e) && e.Status == http.StatusTooManyRequests && e.RetryAfter > 0 && e.RetryAfter <= longestWait {
			return retry.After(answered, e.RetryAfter)
		}
		return retry.Permanent(answered)
	})
	if answered == nil { // that it ended does not count any more
		return status, header, nil
	}
	return status, header, err
}

// send sends a request once.
func (c *Client) send(ctx context.Context, r request, data []byte) (int, http.Header, error) {
	what := r.method + " " + r.path
	var body io.Reader
	if data != nil {
		body = bytes.NewReader(data)
	}
	address := c.baseURL + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", what, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept", "application/json")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.header {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", what, err)
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(io.LimitReader(resp.Body, c.limit+1))
	if err != nil {
		return 0, nil, fmt.Errorf("read the answer to %s: %w", what, err)
	}
	if int64(len(data)) > c.limit {
		return 0, nil, fmt.Errorf("the answer to %s is larger than %d bytes", what, c.limit)
	}
	return resp.StatusCode, resp.Header, read(what, resp, data, r.into)
}

func read(what string, resp *http.Response, data []byte, into any) error {
	switch {
	case resp.StatusCode == http.StatusNotModified:
		return nil
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return refusal(resp, data)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the answer to %s is no JSON of a mothership; is the address right? %w", what, err)
	}
	return nil
}

func refusal(resp *http.Response, data []byte) *Error {
	e := refusalOf(resp, data)
	e.RetryAfter = retry.HeaderDelay(resp.Header, time.Hour)
	return e
}

func refusalOf(resp *http.Response, data []byte) *Error {
	if to, err := resp.Location(); err == nil && resp.StatusCode < 400 {
		return &Error{
			Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id"),
			Message: fmt.Sprintf("it sends requests on to %s://%s, and the key was not sent there; if that is the mothership, use that address", to.Scheme, to.Host),
		}
	}
	var body apiv1.ErrorBody
	if json.Unmarshal(data, &body) != nil || body.Error.Message == "" {
		return &Error{
			Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id"),
			Message: http.StatusText(resp.StatusCode) + "; the answer is not a mothership's, so check the address",
		}
	}
	return &Error{
		Status: resp.StatusCode, Code: body.Error.Code, Reason: body.Error.Reason, Message: body.Error.Message, Fields: body.Error.Fields, RequestID: body.Error.ID,
	}
}

// path joins segments, each escaped.
func path(segments ...string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, segment := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(segment))
	}
	return b.String()
}
