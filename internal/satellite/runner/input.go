package runner

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"unicode/utf8"
)

// maxInput bounds a request's body: the engine lets 10 MiB through, and an
// encoded body is a third longer.
const maxInput = 16 << 20

// readInput returns the line that the pipe process gets for a request. An error
// is one for the caller, by langserver's rules.
func readInput(r *http.Request) ([]byte, error) {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return nil, errors.New("missing Content-Type")
	}
	media, _, err := mime.ParseMediaType(header)
	if err != nil {
		return nil, fmt.Errorf("invalid Content-Type %q", header)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxInput+1))
	switch {
	case err != nil:
		return nil, errors.New("the body was cut off")
	case len(body) > maxInput:
		return nil, fmt.Errorf("the body is larger than %d MiB", maxInput>>20)
	}
	encoding := r.Header.Get("Content-Encoding")
	if encoding != "" && (encoding != "base64" || media != "application/octet-stream") {
		return nil, fmt.Errorf("unsupported Content-Encoding %q", encoding)
	}
	switch media {
	case "text/plain":
		return textLine(body)
	case "application/json":
		return jsonLine(body)
	case "application/octet-stream":
		return binaryLine(body, encoding == "base64")
	}
	return nil, fmt.Errorf("unsupported Content-Type %q", media)
}

func textLine(body []byte) ([]byte, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("the body says it is text and is not UTF-8")
	}
	var b bytes.Buffer
	b.Grow(len(body) + len(body)/8 + 64)
	b.WriteString(`{"content_type":"text","data":`)
	if err := encode(&b, string(body)); err != nil {
		return nil, err
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

func jsonLine(body []byte) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(body) + 64)
	b.WriteString(`{"content_type":"json","data":`)
	if !utf8.Valid(body) || json.Compact(&b, body) != nil {
		return nil, errors.New("the body is not JSON")
	}
	b.WriteString("}\n")
	return b.Bytes(), nil
}

// binaryLine passes a body that is base64 already through as it is: only what
// cannot break the line.
func binaryLine(body []byte, encoded bool) ([]byte, error) {
	line := []byte(`{"content_type":"binary","data":"`)
	if encoded {
		for _, c := range body {
			if !isBase64(c) {
				return nil, errors.New("the body is not base64")
			}
		}
		line = append(line, body...)
	} else {
		line = base64.StdEncoding.AppendEncode(line, body)
	}
	return append(line, "\"}\n"...), nil
}

func isBase64(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '+' || c == '/' || c == '-' || c == '_' || c == '='
}

// encode appends a value as JSON with no HTML escapes and no line end.
func encode(b *bytes.Buffer, value any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return errors.New("the value cannot be written as JSON")
	}
	b.Truncate(b.Len() - 1)
	return nil
}

// answer writes JSON with its length, so that a langserver's plain client can
// read it.
func answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// refusal is langserver's own error: its key is "type".
func refusal(message string) []byte {
	var b bytes.Buffer
	_ = encode(&b, map[string]any{"error": map[string]string{"type": "SystemError", "message": message}})
	return b.Bytes()
}
