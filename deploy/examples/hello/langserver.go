package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
)

// input is what an algorithm is called with; exactly one field is set.
type input struct {
	text   *string
	json   json.RawMessage
	binary []byte
}

// output is what an algorithm answers: Value is a string, []byte or anything
// that encodes to JSON.
type output struct {
	Value  any
	Stdout string
}

// langserver puts HTTP around a function by the contract of an algorithm
// image: the path is ignored, and one call runs at a time.
type langserver struct {
	algorithm func(input) (output, error)
	one       sync.Mutex
	once      sync.Once
	ended     chan struct{} // closed by DELETE
}

func newLangserver(algorithm func(input) (output, error)) *langserver {
	return &langserver{algorithm: algorithm, ended: make(chan struct{})}
}

// ServeHTTP answers GET, POST and DELETE.
func (l *langserver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		answer(w, http.StatusOK, map[string]any{"result": "LangServer alive."})
	case http.MethodPost:
		in, err := read(r)
		if err != nil {
			answer(w, http.StatusBadRequest, map[string]any{"error": map[string]any{"type": "SystemError", "message": err.Error()}})
			return
		}
		answer(w, http.StatusOK, l.call(in))
	case http.MethodDelete:
		answer(w, http.StatusOK, map[string]any{"result": "Runner exited: 0"})
		_ = http.NewResponseController(w).Flush() // the answer is out before the process ends
		l.once.Do(func() { close(l.ended) })
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		answer(w, http.StatusMethodNotAllowed, map[string]any{"error": map[string]any{"type": "SystemError", "message": "method not allowed"}})
	}
}

func read(r *http.Request) (input, error) {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return input{}, errors.New("missing Content-Type")
	}
	media, _, err := mime.ParseMediaType(header)
	if err != nil {
		return input{}, errors.New("invalid Content-Type " + strconv.Quote(header))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return input{}, errors.New("the body was cut off")
	}
	encoding := r.Header.Get("Content-Encoding")
	switch media {
	case "text/plain":
		text := string(body)
		return input{text: &text}, nil
	case "application/json":
		if !json.Valid(body) {
			return input{}, errors.New("the body is not JSON")
		}
		return input{json: body}, nil
	case "application/octet-stream":
		switch encoding {
		case "":
			return input{binary: body}, nil
		case "base64":
			decoded, err := base64.StdEncoding.DecodeString(string(body))
			if err != nil {
				return input{}, errors.New("the body is not base64")
			}
			return input{binary: decoded}, nil
		}
		return input{}, errors.New("unsupported Content-Encoding " + strconv.Quote(encoding))
	}
	return input{}, errors.New("unsupported Content-Type " + strconv.Quote(media))
}

// call runs the algorithm; an error and a panic are answers too.
func (l *langserver) call(in input) (reply map[string]any) {
	l.one.Lock()
	defer l.one.Unlock()
	start := time.Now()
	metadata := map[string]any{"stdout": "", "stderr": ""}
	raised := func(message string) map[string]any {
		metadata["duration"] = time.Since(start).Seconds()
		return map[string]any{
			"error": map[string]any{
				"message": message, "error_type": "AlgorithmError", "stacktrace": strings.TrimSpace(string(debug.Stack())),
			},
			"metadata": metadata,
		}
	}
	defer func() {
		if p := recover(); p != nil {
			reply = raised("the algorithm panicked")
		}
	}()
	out, err := l.algorithm(in)
	metadata["stdout"] = out.Stdout
	if err != nil {
		return raised(err.Error())
	}
	metadata["duration"] = time.Since(start).Seconds()
	switch v := out.Value.(type) {
	case nil:
		metadata["content_type"] = "void"
	case string:
		metadata["content_type"] = "text"
	case []byte: // encoding/json writes base64
		metadata["content_type"] = "binary"
		if v == nil {
			out.Value = []byte{}
		}
	default:
		metadata["content_type"] = "json"
	}
	return map[string]any{"result": out.Value, "metadata": metadata}
}

func answer(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"error":{"type":"SystemError","message":"the reply cannot be written as JSON"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data)
}
