package constellation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// LabelSelector chooses by labels: what meets each of its requirements. Its zero
// value chooses everything.
type LabelSelector struct {
	Requirements []LabelRequirement
}

// LabelOperator is how a requirement looks at a label.
type LabelOperator string

// The operators. What has no such label meets LabelNotIn too, as in Kubernetes.
const (
	LabelIn      LabelOperator = "in" // also = and ==, of one value
	LabelNotIn   LabelOperator = "notin"
	LabelExists  LabelOperator = "exists"
	LabelMissing LabelOperator = "!"
)

// LabelRequirement is one part of a selector; Values are in order.
type LabelRequirement struct {
	Key      string
	Operator LabelOperator
	Values   []string
}

// What a selector may have.
const (
	MaxSelector      = 1000 // bytes
	maxRequirements  = 20
	maxLabelInValues = 50
)

// Empty reports whether the selector chooses everything.
func (s LabelSelector) Empty() bool { return len(s.Requirements) == 0 }

// Matches reports whether labels meet every requirement.
func (s LabelSelector) Matches(labels Labels) bool {
	for _, r := range s.Requirements {
		value, there := labels[r.Key]
		listed := there && slices.Contains(r.Values, value)
		switch r.Operator {
		case LabelIn:
			if !listed {
				return false
			}
		case LabelNotIn:
			if listed {
				return false
			}
		case LabelExists, LabelMissing:
			if there != (r.Operator == LabelExists) {
				return false
			}
		}
	}
	return true
}

// String returns the selector as ParseLabelSelector reads it.
func (s LabelSelector) String() string {
	parts := make([]string, len(s.Requirements))
	for i, r := range s.Requirements {
		switch one := len(r.Values) == 1; {
		case r.Operator == LabelExists:
			parts[i] = r.Key
		case r.Operator == LabelMissing:
			parts[i] = "!" + r.Key
		case one && r.Operator == LabelIn:
			parts[i] = r.Key + "=" + r.Values[0]
		case one:
			parts[i] = r.Key + "!=" + r.Values[0]
		default:
			parts[i] = r.Key + " " + string(r.Operator) + " (" + strings.Join(r.Values, ",") + ")"
		}
	}
	return strings.Join(parts, ",")
}

// ParseLabelSelector reads a selector in Kubernetes' syntax: requirements with
// commas between, each KEY, !KEY, KEY=VALUE, KEY==VALUE, KEY!=VALUE,
// KEY in (A,B) or KEY notin (A,B). The error is one sentence that says where.
func ParseLabelSelector(text string) (LabelSelector, error) {
	if len(text) > MaxSelector {
		return LabelSelector{}, Errorf(KindInvalid, "a selector has at most %d characters; this one has %d", MaxSelector, utf8.RuneCountInString(text))
	}
	p := &selectorParser{text: text}
	var s LabelSelector
	if p.peek() == "" {
		return s, nil
	}
	for {
		r, err := p.requirement()
		if err != nil {
			return LabelSelector{}, err
		}
		if s.Requirements = append(s.Requirements, r); len(s.Requirements) > maxRequirements {
			return LabelSelector{}, Errorf(KindInvalid, "a selector has at most %d requirements", maxRequirements)
		}
		switch p.peek() {
		case "":
			return s, nil
		case ",":
			p.next()
		default:
			return LabelSelector{}, p.wrong("between two requirements is a ','")
		}
	}
}

// CheckLabelSelector adds to v what is wrong with a selector.
func CheckLabelSelector(v *Validation, field, text string) {
	var e *Error
	if _, err := ParseLabelSelector(text); errors.As(err, &e) {
		v.Add(field, "%s", e.Message)
	}
}

// selectorParser reads a selector token by token.
type selectorParser struct {
	text string
	at   int // bytes that are read
}

// selectorSpaces may be between tokens; the signs are tokens, the longest first.
const selectorSpaces = " \t\r\n"

var selectorSigns = []string{"==", "!=", "=", "!", "(", ")", ",", "<", ">"}

// peek returns the next token, "" at the end.
func (p *selectorParser) peek() string {
	for p.at < len(p.text) && strings.IndexByte(selectorSpaces, p.text[p.at]) >= 0 {
		p.at++
	}
	rest := p.text[p.at:]
	for _, sign := range selectorSigns {
		if strings.HasPrefix(rest, sign) {
			return sign
		}
	}
	if end := strings.IndexAny(rest, selectorSpaces+"=!(),<>"); end >= 0 {
		return rest[:end]
	}
	return rest
}

// next returns the next token, and goes on behind it.
func (p *selectorParser) next() string {
	token := p.peek()
	p.at += len(token)
	return token
}

// wrong is the error of what is next.
func (p *selectorParser) wrong(format string, args ...any) error {
	here := "its end"
	if token := p.peek(); token != "" {
		here = fmt.Sprintf("character %d, %q", utf8.RuneCountInString(p.text[:p.at])+1, shortText(visible(token), 40))
	}
	return Errorf(KindInvalid, "the selector cannot be read at %s: %s", here, fmt.Sprintf(format, args...))
}

func (p *selectorParser) requirement() (LabelRequirement, error) {
	r := LabelRequirement{Operator: LabelExists}
	if p.peek() == "!" {
		p.next()
		r.Operator = LabelMissing
	}
	switch token := p.peek(); {
	case token == "" || slices.Contains(selectorSigns, token):
		return r, p.wrong("here is the key of a label, such as region in region=eu")
	case labelKeyProblem(token) != "":
		return r, p.wrong("%s", labelKeyProblem(token))
	}
	r.Key = p.next()
	if r.Operator == LabelMissing {
		return r, nil
	}
	switch p.peek() {
	case "", ",":
		return r, nil
	case "=", "==":
		r.Operator = LabelIn
	case "!=":
		r.Operator = LabelNotIn
	case "in":
		r.Operator = LabelIn
		p.next()
		return r, p.values(&r)
	case "notin":
		r.Operator = LabelNotIn
		p.next()
		return r, p.values(&r)
	default:
		return r, p.wrong("after a key is =, !=, in (…), notin (…) or a ','")
	}
	p.next()
	value, err := p.value()
	r.Values = []string{value}
	return r, err
}

// value reads one value, which may be empty.
func (p *selectorParser) value() (string, error) {
	token := p.peek()
	switch {
	case token == "" || token == "," || token == ")":
		return "", nil
	case slices.Contains(selectorSigns, token):
		return "", p.wrong("here is the value of a label")
	case labelValueProblem(token) != "":
		return "", p.wrong("%s", labelValueProblem(token))
	}
	return p.next(), nil
}

// values reads values in parentheses.
func (p *selectorParser) values(r *LabelRequirement) error {
	if p.peek() != "(" {
		return p.wrong("after %s are values in parentheses, such as region %s (eu,us)", r.Operator, r.Operator)
	}
	p.next()
	if p.peek() == ")" {
		return p.wrong("between the parentheses is at least one value")
	}
	for {
		value, err := p.value()
		if err != nil {
			return err
		}
		if r.Values = append(r.Values, value); len(r.Values) > maxLabelInValues {
			return Errorf(KindInvalid, "a selector has at most %d values in parentheses", maxLabelInValues)
		}
		switch p.peek() {
		case ",":
			p.next()
		case ")":
			p.next()
			slices.Sort(r.Values)
			r.Values = slices.Compact(r.Values)
			return nil
		default:
			return p.wrong("between two values is a ',', and ')' after the last one")
		}
	}
}
