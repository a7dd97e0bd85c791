package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

// maxBody is the most bytes of JSON that a request may have.
const maxBody = 1 << 20

// readBody reads the body of one whom we know; before, nothing of it is read.
func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	var known *constellation.Error
	switch {
	case errors.As(err, &known):
		return nil, err
	case err != nil:
		return nil, constellation.Wrap(err, constellation.KindMalformed, "the request's body ended early; send it again")
	case len(body) > maxBody:
		return nil, errTooLarge
	}
	return body, nil
}

var errTooLarge = constellation.Errorf(constellation.KindTooLarge, "the request's body is larger than %d MiB, the most that is accepted here", maxBody>>20)

// capBody refuses a body that says itself that it is too large.
func capBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > maxBody {
			httpserve.Refuse(w, r, func() { httpserve.WriteError(w, r, errTooLarge) })
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkAddress refuses paths and queries that no text column can hold.
func checkAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		ok := err == nil && isText(r.URL.Path)
		for name, values := range query {
			ok = ok && isText(name+strings.Join(values, ""))
		}
		if !ok {
			httpserve.WriteError(w, r, constellation.Errorf(constellation.KindMalformed, "the address is not valid: its path and query are percent-encoded UTF-8 without NUL characters"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkEmpty refuses parameters without a value: a filter that a script left
// empty would show everything.
func checkEmpty(query url.Values) error {
	var v constellation.Validation
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if slices.Contains(query[name], "") {
			name = shorten(name)
			v.Add(name, "%s is empty; give it a value, or leave it out", name)
		}
	}
	return v.Err()
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// checkMediaType accepts JSON, and no type at all.
func checkMediaType(contentType string) error {
	if contentType == "" {
		return nil
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	charset := strings.ToLower(params["charset"])
	isJSON := mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")
	if err != nil || !isJSON || charset != "" && charset != "utf-8" {
		return constellation.Errorf(constellation.KindUnsupportedMedia, "the body's Content-Type is application/json; not %s", shorten(contentType))
	}
	return nil
}

// jsonRules are what bodies differ in.
type jsonRules struct {
	// isNumber reports whether the field at a path takes a number: what is
	// wrong with others is not how a number is written. nil is of all fields.
	isNumber func(path string) bool
	names    []string // which count in lower case only
	anyText  bool     // is cleaned later
}

// checkJSON finds what the decoder would say badly or let pass: where the
// syntax breaks, fields given twice, NUL in text, numbers that are not whole.
// nulls is the error of each null, for when nothing worse is wrong.
func checkJSON(body []byte, rules jsonRules) (nulls, err error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, constellation.Errorf(constellation.KindMalformed, "the request has no body; send a JSON object")
	}
	if !utf8.Valid(body) {
		return nil, malformed("the body is not valid JSON: it is not UTF-8")
	}
	if !json.Valid(body) {
		var syntax *json.SyntaxError
		if err := json.Unmarshal(body, new(json.RawMessage)); errors.As(err, &syntax) {
			return nil, malformed("the body is not valid JSON: %s at %s", err, position(body, syntax.Offset))
		}
		return nil, malformed("the body is not valid JSON")
	}
	// What encoding/json lets pass is for the checker to say.
	lenient := []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	c := checker{decoder: jsontext.NewDecoder(bytes.NewBuffer(body), lenient...), rules: rules}
	c.value()
	if c.err != nil {
		return nil, malformed("the body is not valid JSON: %v", c.err)
	}
	if c.tooDeep {
		return nil, malformed("the body nests deeper than %d levels", maxDepth)
	}
	return c.nulls.Err(), c.fields.Err()
}

func malformed(format string, args ...any) error {
	return httpserve.WithReason(constellation.Errorf(constellation.KindMalformed, format, args...), apiv1.ReasonMalformedJSON)
}

// position returns line and column of the byte before offset, counted from 1.
func position(body []byte, offset int64) string {
	before := body[:min(max(offset-1, 0), int64(len(body)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("line %d, column %d", line, column)
}

const (
	maxDepth  = 64 // levels of a body; the API's own have five
	maxFields = 50 // fields that one answer complains about
)

// checker walks JSON that is known to be valid. It writes a field's path only
// to complain about it, so that long names many times cost nothing.
type checker struct {
	decoder *jsontext.Decoder
	rules   jsonRules
	path    []step
	tooDeep bool
	err     error // of the decoder
	fields  constellation.Validation
	nulls   constellation.Validation
	count   int
}

func (c *checker) complain(format string, args ...any) {
	if c.count++; c.count <= maxFields {
		field := shorten(c.field())
		c.fields.Add(field, field+" "+format, args...)
	}
}

// step leads to a value: in an object by its name, in an array by its index.
type step struct {
	name  string
	index int // -1 in an object
}

func (s step) String() string {
	if s.index < 0 {
		return "." + s.name
	}
	return "[" + strconv.Itoa(s.index) + "]"
}

// field is where the checker is.
func (c *checker) field() string {
	var b strings.Builder
	for _, s := range c.path {
		b.WriteString(s.String())
	}
	return strings.TrimPrefix(b.String(), ".")
}

// maxName is longer than the path of any field that takes a number.
const maxName = 256

// name is field, or "" where that is longer than any name of ours: to ask for it
// costs the same for each of many numbers under a name of a megabyte.
func (c *checker) name() string {
	n := 0
	for _, s := range c.path {
		if n += len(s.name); n > maxName {
			return ""
		}
	}
	return c.field()
}

func (c *checker) value() {
	token := c.token()
	switch token.Kind() {
	case '{', '[':
		switch {
		case len(c.path) >= maxDepth:
			c.tooDeep = true
		case token.Kind() == '{':
			c.object()
		default:
			c.array()
		}
	case 'n': // what a program writes for a value that it does not have
		if c.count++; c.count <= maxFields {
			field := shorten(c.field())
			c.nulls.Add(field, "%s is null; give it a value, or leave it out", field)
		}
	case '"':
		if !c.rules.anyText && strings.ContainsRune(token.String(), 0) {
			c.complain("has a NUL character, which text cannot hold")
		}
	case '0':
		c.number(token)
	}
}

// fractions are the fields that are no whole numbers.
var fractions = []string{"rate.per_second"}

func (c *checker) number(token jsontext.Token) {
	text := token.String()
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return
	}
	name := c.name()
	if c.count < maxFields && c.rules.isNumber != nil && !c.rules.isNumber(name) {
		return // of the wrong type, as the schema says better
	}
	if !slices.Contains(fractions, name) {
		c.complain("is a whole number, written without a point or an exponent; not %s", shorten(text))
	} else if _, err := strconv.ParseFloat(text, 64); err != nil {
		c.complain("is a number such as 0.5, not %s", shorten(text))
	}
}

func (c *checker) object() {
	var seen names
	for c.more('}') {
		name := c.token().String()
		c.path = append(c.path, step{name, -1})
		if folded := strings.ToLower(name); seen.has(folded) { // as the decoder does
			c.complain("is given twice")
		} else if folded != name && slices.Contains(c.rules.names, folded) { // which the decoder would take all the same
			c.complain("is written in lower case: %s", shorten(folded))
		} else {
			seen.add(folded)
		}
		c.value()
		c.path = c.path[:len(c.path)-1]
	}
	c.token()
}

func (c *checker) array() {
	for i := 0; c.more(']'); i++ {
		c.path = append(c.path, step{"", i})
		c.value()
		c.path = c.path[:len(c.path)-1]
	}
	c.token()
}

// more reports whether an object or an array goes on before its end.
func (c *checker) more(end jsontext.Kind) bool {
	return c.err == nil && !c.tooDeep && c.decoder.PeekKind() != end
}

func (c *checker) token() (token jsontext.Token) {
	if c.err == nil {
		token, c.err = c.decoder.ReadToken()
	}
	return token
}

// names are those of an object: mostly few, which a map would be slow for.
type names struct {
	few  []string
	many map[string]bool
}

func (n *names) has(name string) bool { return n.many[name] || slices.Contains(n.few, name) }

func (n *names) add(name string) {
	const few = 16
	switch {
	case len(n.few) < few:
		n.few = append(n.few, name)
	case n.many == nil:
		n.many = map[string]bool{name: true}
	default:
		n.many[name] = true
	}
}
