package engine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// readLangserver makes a result or a failure of a langserver's answer
// (reference section 2). stdout is a raw JSON string, or nil.
func readLangserver(a answer) (res result, stdout []byte, duration time.Duration, err *failure) {
	body := a.body.b
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	if a.status == http.StatusBadRequest {
		f := readBadInput(body)
		return result{}, nil, -1, f
	}
	if a.status != http.StatusOK {
		return result{}, nil, -1, lost(errors.New("the replica answered " + strconv.Itoa(a.status)))
	}
	var problem []byte
	duration = -1
	valid := eachField(body, func(key, value []byte) {
		switch string(key) {
		case "result":
			res.raw = value
		case "error":
			problem = value
		case "metadata":
			eachField(value, func(key, value []byte) {
				switch string(key) {
				case "content_type":
					res.kind = resultKind(unquote(value))
				case "duration":
					if s, err := strconv.ParseFloat(string(value), 64); err == nil && s >= 0 && s < 1e6 {
						duration = time.Duration(s * float64(time.Second))
					}
				case "stdout":
					if isString(value) {
						stdout = value
					}
				}
			})
		}
	})
	switch {
	case !valid:
		return result{}, nil, -1, unreadable("the algorithm's reply is not a JSON object")
	case problem != nil && !isNull(problem):
		return result{}, stdout, duration, readError(problem)
	case res.raw == nil:
		return result{}, stdout, duration, unreadable("the algorithm's reply has neither result nor error")
	}
	return res, stdout, duration, res.check()
}

// readError makes a failure of an error value: an object with message,
// stacktrace and error_type (or type), or a bare string.
func readError(value []byte) *failure {
	f := raised("", "")
	isObject := eachField(value, func(key, value []byte) {
		if isNull(value) {
			return
		}
		switch string(key) {
		case "message":
			f.message = string(unquote(value))
		case "stacktrace":
			f.stacktrace = string(unquote(value))
		case "error_type":
			f.errorType = string(unquote(value))
		case "type":
			if f.errorType == "" {
				f.errorType = string(unquote(value))
			}
		}
	})
	if !isObject {
		f.message = string(unquote(value))
	}
	if f.message == "" {
		f.message = "the algorithm raised an error without a message"
	}
	return f
}

// readBadInput makes a failure of a langserver's 400. Its message may be
// unescaped, and the body then is no JSON: what stands between the quotes is
// taken as it is.
func readBadInput(body []byte) *failure {
	f := raised("", "")
	found := false
	if eachField(body, func(key, value []byte) {
		if string(key) == "error" {
			f, found = readError(value), true
		}
	}) && found {
		f.status, f.outcome = http.StatusBadRequest, outcomeRefused
		return f
	}
	f = refuse(http.StatusBadRequest, "")
	f.errorType = between(body, `"type":`, `"`)
	f.message = between(body, `"message":`, `"}`)
	if f.message == "" {
		f.message = string(body[:min(len(body), maxMessage)])
	}
	if f.message == "" {
		f.message = "the algorithm could not read the input"
	}
	return f
}

// between gives the text in quotes after key, up to end.
func between(body []byte, key, end string) string {
	_, rest, found := bytes.Cut(body, []byte(key))
	if !found {
		return ""
	}
	rest = bytes.TrimLeft(rest, " ")
	if len(rest) == 0 || rest[0] != '"' {
		return ""
	}
	text, _, _ := bytes.Cut(rest[1:], []byte(end))
	return string(text[:min(len(text), maxMessage)])
}

// How a langserver that timed out is ended and looked for again.
const (
	endTimeout   = 10 * time.Second
	checkTimeout = 5 * time.Second
	checkEvery   = 200 * time.Millisecond
	checkAtMost  = 10 * time.Second // between two tries to end one that will not
)

// newPool makes a route's pool.
func (e *Engine) newPool(r *route) *pool {
	p := newPool(r.VanityURL, r.Concurrency, r.Queue.Limit)
	if r.isLangserver() {
		p.end = func(rep *replica) { e.revivals.Go(func() { e.revive(e.background, p, rep) }) }
	}
	return p
}

// revive ends a langserver whose call timed out, since the call would run on
// (reference section 2), and lets it serve again once a new process answers.
// It returns early when the replica leaves the endpoints or ctx ends.
func (e *Engine) revive(ctx context.Context, p *pool, r *replica) {
	pause, ended := checkEvery, false
	for p.isWithheld(r) {
		if !ended {
			if ended = endProcess(ctx, r.addr); !ended {
				e.log.Warn("the replica timed out and does not end", "replica", r.addr)
				pause = min(2*pause, checkAtMost)
			}
		}
		if ended {
			pause = checkEvery
			if isServing(ctx, r.addr) {
				e.log.Info("the replica serves again", "replica", r.addr)
				p.readmit(r)
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// endProcess sends DELETE and says whether the process is gone: nothing
// listens, or the connection that carried the DELETE was closed by its end.
func endProcess(ctx context.Context, addr string) bool {
	dialer := net.Dialer{Timeout: checkTimeout}
	c, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return true
	}
	defer func() { _ = c.Close() }()
	if c.SetDeadline(time.Now().Add(endTimeout)) != nil {
		return false
	}
	if _, err := io.WriteString(c, "DELETE / HTTP/1.1\r\nHost: "+addr+"\r\nContent-Length: 0\r\n\r\n"); err != nil {
		return false
	}
	br := bufio.NewReader(c)
	response, err := http.ReadResponse(br, &http.Request{Method: http.MethodDelete})
	if err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return false
		}
	}
	_, err = io.Copy(io.Discard, br)
	var timeout net.Error
	return !errors.As(err, &timeout) || !timeout.Timeout()
}

// isServing says whether a langserver answers GET with 200.
func isServing(ctx context.Context, addr string) bool {
	dialer := net.Dialer{Timeout: checkTimeout}
	c, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	if c.SetDeadline(time.Now().Add(checkTimeout)) != nil {
		return false
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+addr+"\r\nConnection: close\r\n\r\n"); err != nil {
		return false
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
