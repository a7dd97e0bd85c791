package support

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Masked stands in the place of what was taken out.
const Masked = "[redacted]"

// leastSecret is the fewest bytes of a value that is looked for in other texts:
// shorter ones are in too many words.
const leastSecret = 6

// Redactor takes secrets out of texts: those it was told, and what looks like one.
// It may be used from several goroutines.
type Redactor struct {
	mu    sync.Mutex
	known []string // longest first
	names *strings.Replacer
}

// Add makes values secrets, as they are and as they are written in base64, in JSON
// and in a URL.
func (r *Redactor) Add(values ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range values {
		value = strings.TrimSpace(value)
		if len(value) < leastSecret {
			continue
		}
		quoted, _ := json.Marshal(value)
		for _, form := range []string{value, strings.Trim(string(quoted), `"`), url.QueryEscape(value),
			base64.StdEncoding.EncodeToString([]byte(value)), base64.RawURLEncoding.EncodeToString([]byte(value))} {
			if !slices.Contains(r.known, form) {
				r.known = append(r.known, form)
			}
		}
	}
	slices.SortFunc(r.known, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, form := range r.known {
		pairs = append(pairs, form, Masked)
	}
	r.names = strings.NewReplacer(pairs...)
}

// privateKey is the one secret of several lines.
var privateKey = regexp.MustCompile(`(?s)-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)

// patterns are what secrets in a line look like, and what stays of them. A line is
// looked at that has one of the hints, in lower case: most have none.
var patterns = []struct {
	hints []string
	form  *regexp.Regexp
	keep  string
}{
	{[]string{"cst_", "cstl_"}, regexp.MustCompile(`\bcstl?_[0-9A-Za-z]{8,}`), Masked},
	{[]string{"eyj"}, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`), Masked},
	{[]string{"whsec_"}, regexp.MustCompile(`\bwhsec_[A-Za-z0-9+/=_-]{8,}`), Masked},
	{[]string{"x-amz-", "signature="}, regexp.MustCompile(`(?i)\b(x-amz-(?:signature|credential|security-token)|signature)=[^&\s"']+`), "${1}=" + Masked},
	{[]string{"akia", "asia"}, regexp.MustCompile(`\b(AKIA|ASIA)[0-9A-Z]{16}\b`), Masked},
	{[]string{"gh", "glpat", "xox"}, regexp.MustCompile(`\b(ghp|gho|ghs|ghu|glpat|xox[abp])[-_][A-Za-z0-9_-]{16,}`), Masked},
	{[]string{"://"}, regexp.MustCompile(`(://)[^/\s"'@]+@`), "${1}" + Masked + "@"},
	{[]string{"authorization"}, regexp.MustCompile(`(?i)(\bauthorization\\?["']?\s*[:=]\s*\\?["']?)(?:(?:basic|bearer|simple)\s+)?[^\s"',\\]+`), "${1}" + Masked},
	{[]string{"basic", "bearer", "simple"}, regexp.MustCompile(`(?i)(\b(?:basic|bearer|simple)\s+)[A-Za-z0-9+/=._~-]{12,}`), "${1}" + Masked},
	{[]string{"passw", "secret", "token", "key"}, regexp.MustCompile(`(?i)([a-z0-9_.-]*(?:password|passwd|secret[_-]?key|client[_-]?secret|access[_-]?key|api[_-]?key|token)\\?["']?\s*[:=]\s*\\?["']?)[^\s"',;&\\{}\[\]]{4,}`), "${1}" + Masked},
}

// Text returns text without secrets.
func (r *Redactor) Text(text string) string {
	r.mu.Lock()
	names := r.names
	r.mu.Unlock()
	if names != nil {
		text = names.Replace(text)
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		text = privateKey.ReplaceAllString(text, Masked)
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(withoutPatterns(line))
	}
	return b.String()
}

func withoutPatterns(line string) string {
	lower := strings.ToLower(line)
	for _, p := range patterns {
		if slices.ContainsFunc(p.hints, func(hint string) bool { return strings.Contains(lower, hint) }) {
			line = p.form.ReplaceAllString(line, p.keep)
		}
	}
	return line
}

// secretName is how a variable is called whose value is one.
var secretName = regexp.MustCompile(`(?i)(password|passwd|secret|token|credential|private|api_?key|access_?key|_key$|^key$|dsn|conn(ection)?_?str)`)

// secretField is how a field is called whose text is one; the names of Secrets are
// none.
var secretField = regexp.MustCompile(`(?i)(^secret|_secret|client_?secret|password|passwd|token|credentials?|(api|access|private|secret)[_-]?key|_key)$`)

// Object returns a cluster's object, or what else was decoded of JSON, without the
// values of Secrets and of variables that are called like secrets, and without what
// machines alone read of it.
func (r *Redactor) Object(object map[string]any) map[string]any {
	isSecret := object["kind"] == "Secret"
	out := r.value(object).(map[string]any)
	if metadata, ok := out["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
		if annotations, ok := metadata["annotations"].(map[string]any); ok {
			delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
		}
	}
	if isSecret {
		for _, field := range []string{"data", "stringData"} {
			if values, ok := out[field].(map[string]any); ok {
				for name := range values {
					values[name] = Masked
				}
			}
		}
	}
	return out
}

func (r *Redactor) value(value any) any {
	switch value := value.(type) {
	case string:
		return r.Text(value)
	case []any:
		list := make([]any, len(value))
		for i, inner := range value {
			list[i] = r.value(inner)
		}
		return list
	case map[string]any:
		out := map[string]any{}
		for key, inner := range value {
			if text, ok := inner.(string); ok && text != "" && secretField.MatchString(key) {
				out[r.Text(key)] = Masked
			} else {
				out[r.Text(key)] = r.value(inner)
			}
		}
		name, isNamed := value["name"].(string)
		if _, ok := value["value"].(string); ok && isNamed && secretName.MatchString(name) {
			out["value"] = Masked // of a container's environment
		}
		return out
	}
	return value
}

// Learn makes a value of a Secret a secret: the whole of it, its lines, and the
// texts of a value that is JSON, such as a docker login.
func (r *Redactor) Learn(value []byte) {
	var decoded any
	if json.Unmarshal(value, &decoded) == nil {
		r.learnTexts(decoded, "")
		return
	}
	r.Add(string(value))
	for line := range strings.Lines(string(value)) {
		if len(line) >= 16 { // a key in PEM form, as a log would have it
			r.Add(line)
		}
	}
}

func (r *Redactor) learnTexts(value any, name string) {
	switch value := value.(type) {
	case string:
		if secretName.MatchString(name) || slices.Contains([]string{"auth", "sha256", "identitytoken", "registrytoken"}, name) {
			r.Add(value)
		}
	case []any:
		for _, inner := range value {
			r.learnTexts(inner, name)
		}
	case map[string]any:
		for key, inner := range value {
			r.learnTexts(inner, key)
		}
	}
}
