package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxAnswer bounds an answer that is not a backup.
const maxAnswer = 64 << 20

// Client asks an engine's routes.
type Client struct {
	key  []byte
	http *http.Client
	base string
}

// NewClient returns a client with the launch's token of the engine that
// transport reaches at base, such as http://engine:9090.
func NewClient(token, base string, transport http.RoundTripper) *Client {
	return &Client{
		key: proofKey(token), base: strings.TrimSuffix(base, "/"),
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// AnswerError is what an engine refused with.
type AnswerError struct {
	Status  int
	Message string
}

// Error returns the engine's sentence.
func (e *AnswerError) Error() string { return e.Message }

// ask sends a request with a proof and returns the answer's body.
func (c *Client) ask(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	challenge, err := c.challenge(ctx)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+Path+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	digest := digestOf(body)
	r.Header.Set(digestHeader, digest)
	r.Header.Set("Authorization", proofScheme+challenge+"."+prove(c.key, method, r.URL.RequestURI(), challenge, digest))
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	return c.do(r)
}

func (c *Client) challenge(ctx context.Context) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+Path+"challenge", nil)
	if err != nil {
		return "", err
	}
	body, err := c.do(r)
	if err != nil {
		return "", err
	}
	defer body.Close() //nolint:errcheck // read only
	var answer struct {
		Challenge string `json:"challenge"`
	}
	if err := json.NewDecoder(io.LimitReader(body, 4096)).Decode(&answer); err != nil || answer.Challenge == "" || len(answer.Challenge) > 200 {
		return "", errors.New("what answers is no engine of this program")
	}
	return answer.Challenge, nil
}

func (c *Client) do(r *http.Request) (io.ReadCloser, error) {
	response, err := c.http.Do(r)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err
		}
		return nil, fmt.Errorf("ask the engine: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close() //nolint:errcheck // read only
	data, _ := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	var says struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(data, &says) != nil || says.Error == "" {
		says.Error = "the engine answered " + response.Status
		if response.StatusCode == http.StatusNotFound {
			says.Error = "the engine that runs has no such route: it is older than this program; deploy the version that has a queue first"
		}
	}
	return nil, &AnswerError{response.StatusCode, says.Error}
}

func (c *Client) json(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	answer, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close() //nolint:errcheck // read only
	if err := json.NewDecoder(io.LimitReader(answer, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("read the engine's answer: %w", err)
	}
	return nil
}

// Status returns how the queue does.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.json(ctx, http.MethodGet, "status", nil, &s)
}

// DeadLetters returns the newest dead letters, of one algorithm or with "" of all.
func (c *Client) DeadLetters(ctx context.Context, vanityURL string, limit int) (list DeadLetters, err error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if vanityURL != "" {
		query.Set("algorithm", vanityURL)
	}
	return list, c.json(ctx, http.MethodGet, "dead?"+query.Encode(), nil, &list)
}

// DeadLetter returns one dead letter with its input.
func (c *Client) DeadLetter(ctx context.Context, id string) (l DeadLetter, err error) {
	return l, c.json(ctx, http.MethodGet, "dead/"+url.PathEscape(id), nil, &l)
}

// Retry puts dead letters back into the queue.
func (c *Client) Retry(ctx context.Context, ids []string) (d BulkResult, err error) {
	return d, c.json(ctx, http.MethodPost, "dead/retry", Requests{ids}, &d)
}

// Drop deletes dead letters.
func (c *Client) Drop(ctx context.Context, ids []string) (d BulkResult, err error) {
	return d, c.json(ctx, http.MethodPost, "dead/drop", Requests{ids}, &d)
}

// Drain makes the engines refuse new calls, or accept them again.
func (c *Client) Drain(ctx context.Context, on bool) (d Drain, err error) {
	return d, c.json(ctx, http.MethodPost, "drain", Drain{on}, &d)
}

// Backup returns a backup as it is made.
func (c *Client) Backup(ctx context.Context) (io.ReadCloser, error) {
	return c.ask(ctx, http.MethodGet, "backup", nil)
}

// Restore sends items of a backup, of which first is the number of the first.
func (c *Client) Restore(ctx context.Context, from Header, first uint64, items []Item) (done Restored, err error) {
	var body bytes.Buffer
	w := NewWriter(&body, from)
	for _, item := range items {
		if err := w.Put(item); err != nil {
			return done, err
		}
	}
	if err := w.Close(); err != nil {
		return done, err
	}
	answer, err := c.ask(ctx, http.MethodPost, "restore?first="+strconv.FormatUint(first, 10), body.Bytes())
	if err != nil {
		return done, err
	}
	defer answer.Close() //nolint:errcheck // read only
	return done, json.NewDecoder(io.LimitReader(answer, 4096)).Decode(&done)
}
