package call

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
	"unicode/utf8"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/store"
)

// Options say what is called, and how.
type Options struct {
	VanityURL   string
	URL         string // of the satellite
	Key         string
	Input       io.Reader // of one call
	ContentType string    // "" is told from the input
	Batch       string    // a file of JSON Lines; "" makes one call
	Void        bool      // the call is stored, and its id answered
	Wait        bool      // for the end of a void call
	Out         io.Writer
	Report      *progress.Reporter
}

// Run calls an algorithm, and writes what it answers. A batch is noted in a
// launch's folder until it has ended.
func Run(ctx context.Context, f store.Folder, o Options) error {
	base := strings.TrimSuffix(o.URL, "/")
	if u, err := url.Parse(base); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return fault.Errorf(fault.CodeUsage, "--url is the satellite's address, as https://satellite.example.com; not %q", base)
	}
	c := &caller{base: base, options: o, client: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	defer c.client.CloseIdleConnections()
	if o.Batch != "" {
		return c.batch(ctx, f)
	}
	return c.one(ctx)
}

// caller talks to a satellite's engines.
type caller struct {
	base    string
	client  *http.Client
	options Options
}

// answer is what a satellite answered to a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// maxAnswer bounds what is read of an answer that is kept in memory.
const maxAnswer = 64 << 20

func (c *caller) request(ctx context.Context, method, path string, body io.Reader, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeUsage, "call %s", path)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+c.options.Key)
	res, err := c.client.Do(req)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeNetwork, "the satellite at %s is not reached", c.base)
	}
	return res, nil
}

func (c *caller) ask(ctx context.Context, method, path string, body io.Reader, header http.Header) (*answer, error) {
	res, err := c.request(ctx, method, path, body, header)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeNetwork, "the answer of %s broke off", c.base)
	}
	return &answer{res.StatusCode, res.Header, data}, nil
}

// refused returns why a satellite did not do what it was asked; nil when it did.
func (a *answer) refused() error {
	if a.status < 300 {
		return nil
	}
	var said struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	message := http.StatusText(a.status)
	if json.Unmarshal(a.body, &said) == nil && said.Error.Message != "" {
		message = said.Error.Message
	}
	code := fault.CodeFailed
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		code = fault.CodeAuth
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusTooManyRequests:
		code = fault.CodeNetwork
	case http.StatusGatewayTimeout:
		code = fault.CodeTimeout
	}
	return fault.Errorf(code, "the satellite answers %d: %s", a.status, message)
}

// one makes one call.
func (c *caller) one(ctx context.Context) error {
	input, err := io.ReadAll(c.options.Input)
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "read the input")
	}
	contentType := c.options.ContentType
	switch {
	case contentType != "":
	case json.Valid(input):
		contentType = "application/json"
	case utf8.Valid(input):
		contentType = "text/plain"
	default:
		contentType = "application/octet-stream"
	}
	path := "/v1/algo/" + c.options.VanityURL
	if c.options.Void {
		path += "?output=void"
	}
	a, err := c.ask(ctx, http.MethodPost, path, bytes.NewReader(input), http.Header{"Content-Type": {contentType}})
	if err == nil {
		err = a.refused()
	}
	if err == nil && c.options.Void && c.options.Wait {
		a, err = c.result(ctx, a)
	}
	if err != nil {
		return err
	}
	return c.show(a)
}

// show writes an answer, and fails when it is the algorithm's error.
func (c *caller) show(a *answer) error {
	if _, err := c.options.Out.Write(append(bytes.TrimRight(a.body, "\n"), '\n')); err != nil {
		return fault.Wrap(err, fault.CodeFailed, "write the result")
	}
	var said struct {
		Error *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(a.body, &said) == nil && said.Error != nil {
		return fault.Errorf(fault.CodeFailed, "the algorithm failed: %s", said.Error.Message)
	}
	return nil
}

const pollInterval = 2 * time.Second

// result waits for the end of a call that was stored, and returns its result.
func (c *caller) result(ctx context.Context, accepted *answer) (*answer, error) {
	var said struct {
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(accepted.body, &said); err != nil || said.RequestID == "" {
		return nil, fault.Errorf(fault.CodeFailed, "the satellite answered without a request_id: %.200q", accepted.body)
	}
	c.options.Report.Line("stored as %s; waiting for its end", said.RequestID)
	for {
		a, err := c.ask(ctx, http.MethodGet, "/v1/async/"+url.PathEscape(said.RequestID)+"/result?wait=30", nil, nil)
		passing := err != nil && fault.CodeOf(err) == fault.CodeNetwork || err == nil && isPassing(a.status)
		switch {
		case err == nil && a.status != http.StatusAccepted && !passing:
			return a, a.refused()
		case err != nil && !passing:
			return nil, err
		case passing:
			c.options.Report.Retry("the satellite does not answer; trying again")
		}
		if err := pause(ctx, pollInterval); err != nil {
			return nil, err
		}
	}
}

// isPassing reports whether another attempt may be answered otherwise.
func isPassing(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout || status == http.StatusTooManyRequests
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

var errLinesFailed = errors.New("some lines failed")

// failedLines returns the error of a batch that went through, but for some lines.
func failedLines(failed, total int64) error {
	if failed == 0 {
		return nil
	}
	return fault.Wrap(errLinesFailed, fault.CodeFailed, "%s", fmt.Sprintf("%d of %d lines failed, as their output says", failed, total))
}
