package protocol

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
)

// readLangserver returns the result or the failure that a langserver answered.
// stdout is a raw JSON string, or nil.
func readLangserver(a Answer) (res Result, stdout []byte, duration time.Duration, err *Failure) {
	body := a.Body.B
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	if a.Status == http.StatusBadRequest {
		f := readBadInput(body)
		return Result{}, nil, -1, f
	}
	if a.Status != http.StatusOK {
		return Result{}, nil, -1, Lost(errors.New("the replica answered " + strconv.Itoa(a.Status)))
	}
	var problem []byte
	duration = -1
	valid := jsonscan.EachField(body, func(key, value []byte) {
		switch string(key) {
		case "result":
			res.raw = value
		case "error":
			problem = value
		case "metadata":
			jsonscan.EachField(value, func(key, value []byte) {
				switch string(key) {
				case "content_type":
					res.kind = Kind(jsonscan.Unquote(value))
				case "duration":
					if s, err := strconv.ParseFloat(string(value), 64); err == nil && s >= 0 && s < 1e6 {
						duration = time.Duration(s * float64(time.Second))
					}
				case "stdout":
					if jsonscan.IsString(value) {
						stdout = value
					}
				}
			})
		}
	})
	switch {
	case !valid:
		return Result{}, nil, -1, unreadable("the algorithm's reply is not a JSON object")
	case problem != nil && !jsonscan.IsNull(problem):
		return Result{}, stdout, duration, readError(problem)
	case res.raw == nil:
		return Result{}, stdout, duration, unreadable("the algorithm's reply has neither result nor error")
	}
	return res, stdout, duration, res.check()
}

// readError returns the failure of an error value: an object with message,
// stacktrace and error_type (or type), or a bare string.
func readError(value []byte) *Failure {
	f := raised("", "")
	isObject := jsonscan.EachField(value, func(key, value []byte) {
		if jsonscan.IsNull(value) {
			return
		}
		switch string(key) {
		case "message":
			f.Message = string(jsonscan.Unquote(value))
		case "stacktrace":
			f.stacktrace = string(jsonscan.Unquote(value))
		case "error_type":
			f.ErrorType = string(jsonscan.Unquote(value))
		case "type":
			if f.ErrorType == "" {
				f.ErrorType = string(jsonscan.Unquote(value))
			}
		}
	})
	if !isObject {
		f.Message = string(jsonscan.Unquote(value))
	}
	if f.Message == "" {
		f.Message = "the algorithm raised an error without a message"
	}
	return f
}

// readBadInput returns the failure of a langserver's 400. Its message may be
// unescaped, and the body then is no JSON: what stands between the quotes is
// taken as it is.
func readBadInput(body []byte) *Failure {
	f := raised("", "")
	found := false
	if jsonscan.EachField(body, func(key, value []byte) {
		if string(key) == "error" {
			f, found = readError(value), true
		}
	}) && found {
		f.Status, f.Outcome = http.StatusBadRequest, OutcomeRefused
		return f
	}
	f = Refuse(http.StatusBadRequest, "")
	f.ErrorType = between(body, `"type":`, `"`)
	f.Message = between(body, `"message":`, `"}`)
	if f.Message == "" {
		f.Message = string(body[:min(len(body), MaxMessage)])
	}
	if f.Message == "" {
		f.Message = "the algorithm could not read the input"
	}
	return f
}

// between returns the text in quotes after key, up to end.
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
	return string(text[:min(len(text), MaxMessage)])
}
