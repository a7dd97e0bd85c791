package registry

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/terminal"
	"github.com/constellation-serving/constellation/internal/retry"
)

// Refusal is a registry's answer that is no success.
type Refusal struct {
	Status  int
	Code    string // of the OCI error, such as NAME_UNKNOWN
	Message string
	from    *url.URL // what answered
}

// Error returns the registry's own words.
func (r *Refusal) Error() string {
	text := http.StatusText(r.Status)
	if r.Message != "" {
		text = terminal.OneLine(r.Message)
	}
	return fmt.Sprintf("%d: %s", r.Status, text)
}

func newRefusal(response *http.Response) *Refusal {
	data, _ := io.ReadAll(io.LimitReader(response.Body, connection.MaxErrorBytes)) //nolint:errcheck // the status says enough
	r := &Refusal{Status: response.StatusCode, from: response.Request.URL}
	if r.Code, r.Message = ociErrors(data); r.Message == "" {
		r.Message = plainError(response.Header.Get("Content-Type"), data)
	}
	if connection.IsRedirect(response) {
		r.Message = "it sends the request on to " + connection.SentOn(response) + ", which is not followed; configure stage.container_registry with where the registry is"
	}
	if offered := challengesOf(response.Header.Values("WWW-Authenticate")); len(offered) > 0 && chooseChallenge(offered) == nil && r.Status == http.StatusUnauthorized {
		r.Message = "it takes a login by " + schemeNames(offered) + " alone, and algo-install has Basic and Bearer"
	}
	return r
}

// ociErrors reads the errors of a registry, all that it gives: the first one's
// code, and what each says with its detail.
func ociErrors(data []byte) (code, message string) {
	var body struct {
		Errors []struct {
			Code, Message string
			Detail        any
		}
	}
	if json.Unmarshal(data, &body) != nil || len(body.Errors) == 0 {
		return "", ""
	}
	var said []string
	for _, e := range body.Errors {
		text := cmp.Or(e.Message, e.Code)
		if detail, ok := e.Detail.(string); ok && detail != "" && !strings.Contains(text, detail) {
			text += ": " + detail
		}
		if text != "" && !slices.Contains(said, text) {
			said = append(said, text)
		}
	}
	return body.Errors[0].Code, strings.Join(said, "; ")
}

// mostSaid is how much of an answer that is no registry's is repeated.
const mostSaid = 300

var htmlTitle = regexp.MustCompile(`(?is)<title[^>]*>\s*(.*?)\s*</title>`)

// plainError returns what a proxy said: a line of text, or a page's title.
func plainError(contentType string, data []byte) string {
	text := strings.TrimSpace(string(data))
	if m := htmlTitle.FindStringSubmatch(text); m != nil {
		return html.UnescapeString(m[1])
	}
	if !utf8.ValidString(text) || strings.HasPrefix(text, "<") || strings.HasPrefix(text, "{") && !strings.HasPrefix(contentType, "text/plain") {
		return ""
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > mostSaid {
		text = strings.ToValidUTF8(text[:mostSaid], "") + "…"
	}
	return text
}

// refuse returns a response as a refusal, with the time that its answer says to come back.
func refuse(response *http.Response) error {
	refused := newRefusal(response)
	if slices.Contains([]int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout}, refused.Status) {
		return retry.After(refused, retry.HeaderDelay(response.Header, connection.LongestWait))
	}
	return refused
}
