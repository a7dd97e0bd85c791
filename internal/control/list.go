package control

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// ListQuery asks for one page of a list. Limit 0 is 50, the most is 500. Sort
// is a column of the list's own allow-list, with "-" before it for descending.
type ListQuery struct {
	Q, Sort, Marker string
	Limit           int
}

// Page is one page of a list. Marker asks for the next one, "" at the end.
type Page[T any] struct {
	Items  []T
	Marker string
}

const (
	defaultLimit = 50
	maxLimit     = 500
	maxQuery     = 200  // characters of q
	maxMarker    = 4096 // bytes
)

// listing is what one list may be sorted by, and how a row says where a page
// ends.
type listing[T any] struct {
	name     string // in markers, so that one list's does not fit another
	sorts    map[string]sortKey[T]
	fallback string // the sort of a query that names none
	id       sortKey[T]
}

// sortKey gives a row's value of a column as text, and checks such a text.
type sortKey[T any] struct {
	of    func(*T) string
	valid func(string) bool
}

func byText[T any](of func(*T) string) sortKey[T] {
	return sortKey[T]{of: of, valid: validText}
}

func byTime[T any](of func(*T) time.Time) sortKey[T] {
	return sortKey[T]{
		of: func(row *T) string { return of(row).UTC().Format(time.RFC3339Nano) },
		valid: func(s string) bool {
			_, err := time.Parse(time.RFC3339Nano, s)
			return err == nil
		},
	}
}

// byLastTime is byTime for a time that may not have come: then it is before
// all others.
func byLastTime[T any](of func(*T) *time.Time) sortKey[T] {
	const never = "-infinity"
	return sortKey[T]{
		of: func(row *T) string {
			at := of(row)
			if at == nil {
				return never
			}
			return at.UTC().Format(time.RFC3339Nano)
		},
		valid: func(s string) bool {
			_, err := time.Parse(time.RFC3339Nano, s)
			return err == nil || s == never
		},
	}
}

func byNumber[T any](of func(*T) int64) sortKey[T] {
	return sortKey[T]{
		of: func(row *T) string { return strconv.FormatInt(of(row), 10) },
		valid: func(s string) bool {
			_, err := strconv.ParseInt(s, 10, 64)
			return err == nil
		},
	}
}

func byUUID[T any](of func(*T) string) sortKey[T] {
	return sortKey[T]{of: of, valid: func(s string) bool { return uuid.Validate(s) == nil }}
}

func validText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// marker is a page's end as clients carry it, bound to the list and its sort.
type marker struct {
	List string `json:"l"`
	Sort string `json:"s"`
	Key  string `json:"k"`
	ID   string `json:"i"`
}

// parse checks a query; the error is KindMalformed with every field that is
// wrong. The answer asks for one row more than the page, to see if it ends.
func (l listing[T]) parse(q ListQuery) (postgres.List, error) {
	var v constellation.Validation
	list := postgres.List{Q: constellation.Fold(strings.TrimSpace(q.Q))}
	if utf8.RuneCountInString(list.Q) > maxQuery || !validText(list.Q) {
		v.Add("q", "q has at most %d characters, in UTF-8", maxQuery)
	}
	sort := q.Sort
	if sort == "" {
		sort = l.fallback
	}
	list.Sort, list.Desc = strings.CutPrefix(sort, "-")
	key, ok := l.sorts[list.Sort]
	if !ok {
		v.Add("sort", "sort is one of %s, with '-' before it for descending", l.columns())
	}
	switch {
	case q.Limit < 0 || q.Limit > maxLimit:
		v.Add("limit", "limit is a number from 1 to %d", maxLimit)
	case q.Limit == 0:
		list.Limit = defaultLimit + 1
	default:
		list.Limit = q.Limit + 1
	}
	if q.Marker != "" && ok {
		m, valid := decodeMarker(q.Marker)
		if !valid || m.List != l.name || m.Sort != sort || !key.valid(m.Key) || !l.id.valid(m.ID) {
			v.Add("marker", "the marker is not one of this list in this order; leave it out to start again")
		}
		list.After = &postgres.Position{Key: m.Key, ID: m.ID}
	}
	return list, malformed(v.Err())
}

// page cuts what the database gave to the page asked for.
func (l listing[T]) page(list postgres.List, rows []T) Page[T] {
	if len(rows) < list.Limit {
		return Page[T]{Items: rows}
	}
	rows = rows[:list.Limit-1]
	last := &rows[len(rows)-1]
	m := marker{List: l.name, Sort: list.Sort, Key: l.sorts[list.Sort].of(last), ID: l.id.of(last)}
	if list.Desc {
		m.Sort = "-" + m.Sort
	}
	data, err := json.Marshal(m)
	if err != nil {
		panic("a marker has only strings: " + err.Error())
	}
	return Page[T]{Items: rows, Marker: base64.RawURLEncoding.EncodeToString(data)}
}

func (l listing[T]) columns() string {
	columns := make([]string, 0, len(l.sorts))
	for name := range l.sorts {
		columns = append(columns, name)
	}
	slices.Sort(columns)
	return strings.Join(columns, ", ")
}

// Sorts says of each list, for the API's document, what it may be sorted by.
func Sorts() map[string]string {
	return map[string]string{
		accountListing.name: accountListing.words(), algorithmListing.name: algorithmListing.words(),
		algorithmVersionListing.name: algorithmVersionListing.words(), keyListing.name: keyListing.words(),
		eventListing.name: eventListing.words(), launchListing.name: launchListing.words(),
		satelliteListing.name: satelliteListing.words(), satelliteKeyListing.name: satelliteKeyListing.words(),
		satelliteVersionListing.name: satelliteVersionListing.words(),
	}
}

func (l listing[T]) words() string {
	return "One of " + l.columns() + ", with - before it for descending. Left out, " + l.fallback + "."
}

func decodeMarker(s string) (marker, bool) {
	var m marker
	if len(s) > maxMarker {
		return m, false
	}
	data, err := base64.RawURLEncoding.DecodeString(s)
	return m, err == nil && json.Unmarshal(data, &m) == nil
}

// malformed makes a validation's error one of a request that cannot be read.
func malformed(err error) error {
	var e *constellation.Error
	if errors.As(err, &e) {
		e.Kind = constellation.KindMalformed
	}
	return err
}

// clean makes text from outside fit to be stored: valid UTF-8, no control
// characters, at most n characters.
func clean(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n])
	}
	return s
}
