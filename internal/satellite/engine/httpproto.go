package engine

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// readHTTP makes a result or a failure of an http algorithm's answer. The
// body is the result, by its Content-Type: JSON is json, text in UTF-8 is
// text, none at all is void, anything else is binary. A status that is not
// 2xx is an algorithm error with the body's message.
func readHTTP(a answer) (result, *failure) {
	body := a.body.b
	media, params, _ := mime.ParseMediaType(a.contentType)
	isJSON := media == "application/json" || strings.HasSuffix(media, "+json")
	if a.status < 200 || a.status > 299 {
		return result{}, raised("AlgorithmError", httpMessage(a.status, isJSON, body))
	}
	if isJSON && !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	res := result{kind: kindBinary, plain: body}
	switch {
	case len(body) == 0:
		res = result{kind: kindVoid, raw: []byte("null")}
	case isJSON && !validJSON(body):
		return result{}, unreadable("the algorithm's reply says " + media + " and is not JSON")
	case isJSON:
		i := skipSpace(body, 0)
		res = result{kind: kindJSON, raw: body[i:scanValue(body, i, 0)]}
	case strings.HasPrefix(media, "text/") && isUTF8(params["charset"]) && utf8.Valid(body):
		res.kind = kindText
	}
	return res, res.check()
}

// httpMessage finds the message in an error's body: error.message, error,
// message or detail of JSON, else the text itself.
func httpMessage(status int, isJSON bool, body []byte) string {
	message := ""
	if isJSON {
		eachField(body, func(key, value []byte) {
			switch string(key) {
			case "error":
				message = readError(value).message
			case "message", "detail":
				if message == "" {
					message = string(unquote(value))
				}
			}
		})
	}
	if message == "" && utf8.Valid(body) {
		message = strings.TrimSpace(string(body[:min(len(body), maxMessage)]))
	}
	if message == "" {
		message = fmt.Sprintf("the algorithm answered %d %s", status, http.StatusText(status))
	}
	return strings.ToValidUTF8(message[:min(len(message), maxMessage)], "")
}

func isUTF8(charset string) bool {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		return true
	}
	return false
}
