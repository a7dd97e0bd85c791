package constellation

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Labels say what a satellite or a launch is, to choose it by, such as
// region=eu. Keys and values follow Kubernetes' rules for labels.
type Labels map[string]string

// MaxLabels is how many labels one satellite or launch may have.
const MaxLabels = 32

// What a label's parts may have.
const (
	maxLabelName   = 63 // characters of a value, and of a key after its prefix
	maxLabelPrefix = 253
)

var (
	labelNameChars   = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`)
	labelPrefixChars = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
)

// CheckLabels adds to v what is wrong with labels.
func CheckLabels(v *Validation, field string, labels Labels) {
	if len(labels) > MaxLabels {
		v.Add(field, "there are at most %d labels, not %d", MaxLabels, len(labels))
		return
	}
	for _, key := range labels.Keys() {
		message := labelKeyProblem(key)
		if message == "" {
			message = labelValueProblem(labels[key])
		}
		if message != "" {
			v.Add(field, "the label %s: %s", shortText(visible(key+"="+labels[key]), 60), message)
		}
	}
}

// labelKeyProblem says what is wrong with a label's key, "" for nothing.
func labelKeyProblem(key string) string {
	prefix, name, prefixed := strings.Cut(key, "/")
	if !prefixed {
		prefix, name = "", key
	}
	switch {
	case name == "":
		return "a label has a name before its '=', such as region=eu"
	case len(name) > maxLabelName:
		return "the name of a label has at most 63 characters"
	case !labelNameChars.MatchString(name):
		return "the name of a label has letters, digits, '-', '_' and '.', and begins and ends with a letter or digit; a prefix such as example.com/ may be before it"
	case prefixed && (len(prefix) > maxLabelPrefix || !labelPrefixChars.MatchString(prefix)):
		return "the prefix of a label, before its '/', is a DNS name in lower case, such as example.com"
	}
	return ""
}

// labelValueProblem says what is wrong with a label's value, "" for nothing.
func labelValueProblem(value string) string {
	switch {
	case len(value) > maxLabelName:
		return "the value of a label has at most 63 characters"
	case value != "" && !labelNameChars.MatchString(value):
		return "the value of a label has letters, digits, '-', '_' and '.', and begins and ends with a letter or digit, or is empty"
	}
	return ""
}

// visible is s without what is not seen, for messages.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if IsInvisible(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}

// Keys returns the labels' keys in order.
func (l Labels) Keys() []string { return slices.Sorted(maps.Keys(l)) }

// Equal reports whether both have the same labels.
func (l Labels) Equal(other Labels) bool { return maps.Equal(l, other) }

// Over returns the labels of below with these over them.
func (l Labels) Over(below Labels) Labels {
	both := Labels{}
	maps.Copy(both, below)
	maps.Copy(both, l)
	return both
}

// Text returns the labels as people type them: key=value, one a line.
func (l Labels) Text() string {
	lines := make([]string, 0, len(l))
	for _, key := range l.Keys() {
		lines = append(lines, key+"="+l[key])
	}
	return strings.Join(lines, "\n")
}

// ParseLabels reads what people type: key=value, one a line or with commas
// between. The error is of the field labels.
func ParseLabels(text string) (Labels, error) {
	labels := Labels{}
	var v Validation
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == ',' }) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch _, twice := labels[key]; {
		case !ok:
			v.Add("labels", "%q is no label: write key=value, such as region=eu", shortText(visible(line), 60))
		case twice:
			v.Add("labels", "the label %q is there twice", shortText(visible(key), 60))
		default:
			labels[key] = value
		}
	}
	CheckLabels(&v, "labels", labels)
	return labels, v.Err()
}

// Terms are what a selector may ask for of the labels: each key, and each
// key=value; in order.
func (l Labels) Terms() []string {
	terms := make([]string, 0, 2*len(l))
	for key, value := range l {
		terms = append(terms, key, key+"="+value)
	}
	slices.Sort(terms)
	return terms
}
