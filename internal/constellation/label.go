package constellation

import (
	"regexp"
	"sort"
	"strconv"
	"strings"
)

const labelPrefix = "constellation."

// labelNames are the settings that image labels have, without their prefix.
var labelNames = []string{
	"protocol", "port", "path", "concurrency", "health-path", "network", "cpu", "memory", "gpu", "read-only-root",
	"response", "http2", "max-body", "idle-timeout", "kind",
}

// RuntimeFromLabels reads an image's constellation.* labels and fills in
// defaults. A label that is nearly one of them is an error: a typing mistake
// must not become a default in silence.
func RuntimeFromLabels(labels map[string]string) (Runtime, error) {
	var r Runtime
	var v Validation
	for label, value := range labels {
		name, ours := strings.CutPrefix(label, labelPrefix)
		if ours && r.setLabel(&v, label, name, value) {
			continue
		}
		if meant := meantLabel(label); meant != "" {
			v.Add(shorten(label), "the image label %s is unknown; did you mean %s", shorten(label), meant)
		}
	}
	r = r.WithDefaults()
	if v.Err() == nil {
		r.Check(&v, "labels")
	}
	sort.Slice(v.fields, func(i, j int) bool { return v.fields[i].Field < v.fields[j].Field })
	if err := v.Err(); err != nil {
		return Runtime{}, err
	}
	return r, nil
}

// setLabel takes a label's value, and reports whether there is such a label.
func (r *Runtime) setLabel(v *Validation, label, name, value string) bool {
	number := func() int {
		n, err := strconv.Atoi(value)
		if err != nil {
			v.Add(label, "the image label %s is a whole number; not %q", label, shorten(value))
		}
		return n
	}
	boolean := func() bool {
		if value != "true" && value != "false" {
			v.Add(label, "the image label %s is true or false; not %q", label, shorten(value))
		}
		return value == "true"
	}
	switch name {
	case "protocol":
		r.Protocol = Protocol(value)
	case "port":
		r.Port = number()
	case "path":
		r.Path = value
	case "concurrency":
		r.Concurrency = number()
	case "health-path":
		r.HealthPath = value
	case "network":
		r.Network = value
	case "cpu":
		r.CPU = value
	case "memory":
		r.Memory = value
	case "gpu":
		r.GPU = number()
	case "read-only-root":
		r.ReadOnlyRoot = boolean()
	case "kind":
		if value != string(CodeVersion) && value != string(WeightsVersion) {
			v.Add(label, "the image label %s is %s or %s; not %q", label, CodeVersion, WeightsVersion, shorten(value))
		}
	case "http2":
		r.HTTP2 = boolean()
	default:
		return r.HTTPSettings.setLabel(name, value)
	}
	return true
}

// setLabel is Runtime's for those settings that are text.
func (s *HTTPSettings) setLabel(name, value string) bool {
	switch name {
	case "response":
		s.Response = value
	case "max-body":
		s.MaxBody = value
	case "idle-timeout":
		s.IdleTimeout = value
	default:
		return false
	}
	return true
}

// labelParts are a label's vendor and the rest, whatever is between them.
var labelParts = regexp.MustCompile(`^(?:(?:io|com|org)[._/-])?([A-Za-z]{11,15})[._/:-](.*)$`)

// meantLabel returns the label of ours that somebody must have meant who wrote
// label, "" when it is of somebody else.
func meantLabel(label string) string {
	m := labelParts.FindStringSubmatch(label)
	if m == nil || Edits(m[1], "constellation") > 2 {
		return ""
	}
	return labelPrefix + Nearest(shorten(strings.ReplaceAll(m[2], "_", "-")), labelNames)
}
