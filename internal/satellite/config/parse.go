package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Refused is a part of a file that breaks a rule. It is left out, and its
// neighbours stay.
type Refused struct {
	Name   string // a vanity URL, or a key's id
	Reason string // one sentence or several, for the operator
}

// sieve parts the elements of a list that can be used from those that cannot.
type sieve struct {
	list    string // the list's name in its file
	seen    map[string]bool
	refused []Refused
}

func newSieve(list string) *sieve { return &sieve{list: list, seen: map[string]bool{}} }

// passes reports whether element i, called name, keeps the rules that check
// has, and is the first of that name.
func (s *sieve) passes(i int, name string, check func(*constellation.Validation)) bool {
	var v constellation.Validation
	check(&v)
	if s.seen[name] {
		v.Add(s.list, "%q is there twice", name)
	}
	if err := v.Err(); err != nil {
		s.refuse(i, name, err)
		return false
	}
	s.seen[name] = true
	return true
}

func (s *sieve) refuse(i int, name string, err error) {
	reason := err.Error()
	if broken, ok := errors.AsType[*constellation.Error](err); ok {
		reasons := make([]string, len(broken.Fields))
		for j, field := range broken.Fields {
			reasons[j] = field.Message
		}
		reason = strings.Join(reasons, "; ")
	}
	s.refused = append(s.refused, Refused{Name: cmp.Or(name, fmt.Sprintf("%s[%d]", s.list, i)), Reason: reason})
}

// err returns a KindInvalid error that names what was refused; nil when
// nothing was.
func (s *sieve) err() error {
	const named = 3
	if len(s.refused) == 0 {
		return nil
	}
	var parts []string
	for _, part := range s.refused[:min(named, len(s.refused))] {
		parts = append(parts, part.Name+": "+part.Reason)
	}
	if more := len(s.refused) - named; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return constellation.Errorf(constellation.KindInvalid, "%s", strings.Join(parts, "; "))
}

// decode reads one JSON object and says on which line it breaks.
func decode(data []byte, into any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("the file is empty")
	}
	err := json.Unmarshal(data, into)
	var (
		syntax *json.SyntaxError
		kind   *json.UnmarshalTypeError
	)
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d is not JSON: %w", lineAt(data, syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("line %d: %w", lineAt(data, kind.Offset), wrongType(kind))
	}
	return err
}

// decodePart reads one element of a file that decode read.
func decodePart(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return wrongType(kind)
	}
	return err
}

func wrongType(kind *json.UnmarshalTypeError) error {
	if kind.Field == "" {
		return fmt.Errorf("it is a %s and must be an object", kind.Value)
	}
	return fmt.Errorf("%s is a %s and must be a %s", kind.Field, kind.Value, kind.Type)
}

func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(offset, int64(len(data)))], []byte{'\n'})
}
