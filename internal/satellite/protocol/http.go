package protocol

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
)

// readHTTP returns the result or the failure that an http algorithm answered. The
// body is the result, by its Content-Type: JSON is json, text in UTF-8 is
// text, none at all is void, anything else is binary. A status that is not
// 2xx is an algorithm error with the body's message.
func readHTTP(a Answer) (Result, *Failure) {
	body := a.Body.B
	media, params, _ := mime.ParseMediaType(a.ContentType)
	isJSON := media == "application/json" || strings.HasSuffix(media, "+json")
	if a.Status < 200 || a.Status > 299 {
		return Result{}, raised("AlgorithmError", httpMessage(a.Status, isJSON, body))
	}
	if isJSON && !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	res := Result{kind: kindBinary, plain: body}
	switch {
	case len(body) == 0:
		res = Result{kind: kindVoid, raw: []byte("null")}
	case isJSON && !jsonscan.Valid(body):
		return Result{}, unreadable("the algorithm's reply says " + media + " and is not JSON")
	case isJSON:
		res = Result{kind: kindJSON, raw: jsonscan.TrimSpace(body)}
	case strings.HasPrefix(media, "text/") && isUTF8(params["charset"]) && utf8.Valid(body):
		res.kind = kindText
	}
	return res, res.check()
}

// httpMessage returns the message in an error's body: error.message, error,
// message or detail of JSON, else the text itself.
func httpMessage(status int, isJSON bool, body []byte) string {
	message := ""
	if isJSON {
		jsonscan.EachField(body, func(key, value []byte) {
			switch string(key) {
			case "error":
				message = readError(value).Message
			case "message", "detail":
				if message == "" {
					message = string(jsonscan.Unquote(value))
				}
			}
		})
	}
	if message == "" && utf8.Valid(body) {
		message = strings.TrimSpace(string(body[:min(len(body), MaxMessage)]))
	}
	if message == "" {
		message = fmt.Sprintf("the algorithm answered %d %s", status, http.StatusText(status))
	}
	return strings.ToValidUTF8(message[:min(len(message), MaxMessage)], "")
}

func isUTF8(charset string) bool {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return true
	}
	return false
}
