package control

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// ListQuery asks for one page of a list. Limit 0 is 50, the most is 500. Sort
// is a column of the list's own allow-list, with "-" before it for descending.
type ListQuery struct {
	Q, Sort, Marker string
	Name            string // only what has this whole name, ignoring case; "" is all
	Algorithm       string // of satellites and launches: only what runs this, OWNER/NAME or OWNER/NAME/HASH; "" is all
	Status          string // of satellites and launches: only what has launches with this status; "" is all
	Selector        string // of satellites and launches: only what has such labels, in Kubernetes' syntax; "" is all
	Narrowing
	Limit  int
	Count  bool // say how many there are on all pages
	Expand bool // with the lists that are nested in rows, which are left out else
}

// Narrowing is what else lists of satellites, and of all their launches, are narrowed
// to; "" is all.
type Narrowing struct {
	CreatedBy     string // who made it
	ExpiresBefore string // the satellite expires before this: a date, a time, or how long from now
	ExpiresAfter  string // it does not expire before this
	Behind        string // true: it runs another version than is wanted, or a satellite has a launch that does; false
	BehindFor     string // it has done so for as long at least, such as 7d
	Satellite     string // of launches: the satellite's name or ID
	Owner         string // of launches: they run something of this owner
}

// texts returns what a list is narrowed to, each under its name.
func (n Narrowing) texts() map[string]string {
	return map[string]string{
		"created_by": n.CreatedBy, "expires_before": n.ExpiresBefore, "expires_after": n.ExpiresAfter,
		"behind": n.Behind, "behind_for": n.BehindFor, "satellite": n.Satellite, "owner": n.Owner,
	}
}

// CountLimit is up to how many a list is counted: one more is "more".
const CountLimit = postgres.CountLimit

// Page is one page of a list. Marker asks for the next one, "" at the end;
// Back for the one before, "" on the first. Total is how many there are on all
// pages when that was asked for, at most CountLimit and one more.
type Page[T any] struct {
	Items        []T
	Marker, Back string
	Total        int

	after func(*T) string // the marker of the page that begins after a row
}

// Cut ends the page after its first n rows; the next one begins there.
func (p *Page[T]) Cut(n int) {
	if n < len(p.Items) {
		p.Items = p.Items[:n]
		p.Marker = p.after(&p.Items[n-1])
	}
}

// What a page may have of nested lists, and how many rows are filled at once
// to find out.
const (
	maxNested  = postgres.MaxPageBytes
	filledOnce = 8
)

// fill reads what is nested in the rows of a page with load, and cuts the page
// where that is too much; the first row always stays.
func fill[T any](p *Page[T], load func([]T) error, size func(*T) int) error {
	total := 0
	for from := 0; from < len(p.Items); from += filledOnce {
		rows := p.Items[from:min(from+filledOnce, len(p.Items))]
		if err := load(rows); err != nil {
			return err
		}
		for i := range rows {
			if total += size(&rows[i]); total > maxNested && from+i > 0 {
				p.Cut(from + i)
				return nil
			}
		}
	}
	return nil
}

const (
	defaultLimit = 50
	maxLimit     = 500
)

// What a query's texts may have.
const (
	MaxQuery  = 200  // characters of q and of each filter
	MaxMarker = 4096 // bytes
)

// listing is what one list may be sorted by, and how a row says where a page
// ends.
type listing[T any] struct {
	name     string // in markers, so that one list's does not fit another
	sorts    map[string]sortKey[T]
	fallback string // the sort of a query that names none
	id       sortKey[T]
}

// sortKey returns a row's value of a column as text, and checks such a text.
type sortKey[T any] struct {
	of    func(*T) string
	valid func(string) bool
}

func byText[T any](of func(*T) string) sortKey[T] {
	return sortKey[T]{of: of, valid: validText}
}

func byTime[T any](of func(*T) time.Time) sortKey[T] {
	return sortKey[T]{
		of:    func(row *T) string { return of(row).UTC().Format(time.RFC3339Nano) },
		valid: validTime,
	}
}

// validTime reports whether s is a time that PostgreSQL reads too, which knows
// no year 0.
func validTime(s string) bool {
	at, err := time.Parse(time.RFC3339Nano, s)
	return err == nil && at.UTC().Year() > 0
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
		valid: func(s string) bool { return s == never || validTime(s) },
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
	return sortKey[T]{of: of, valid: func(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }}
}

func validText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// marker is a page's end as clients carry it, bound to the list, its sort and
// all that narrows it.
type marker struct {
	List string `json:"l"`
	Of   string `json:"o,omitempty"` // a digest of what narrows the list
	Sort string `json:"s"`
	Key  string `json:"k"`
	ID   string `json:"i"`
	Back bool   `json:"b,omitempty"` // to what is before it
}

// parse checks a query; the error is KindMalformed with every field that is
// wrong. of is what narrows the list beside q, ignoring case. The answer asks
// for one row more than the page, to see if it ends.
func (l listing[T]) parse(q ListQuery, of ...string) (postgres.List, error) {
	var v constellation.Validation
	list := postgres.List{Q: constellation.Fold(strings.TrimSpace(q.Q)), Name: constellation.Fold(q.Name), Cut: new(bool)}
	by := append(of, list.Q)
	if list.Name != "" {
		by = append(by, list.Name)
	}
	if q.Algorithm != "" {
		by = append(by, "algorithm="+q.Algorithm)
	}
	if q.Status != "" {
		by = append(by, "status="+q.Status)
	}
	if q.Selector != "" {
		by = append(by, fmt.Sprintf("selector=%x", q.Selector)) // whose case counts
	}
	narrowed := q.texts()
	for _, name := range slices.Sorted(maps.Keys(narrowed)) {
		if text := narrowed[name]; text != "" {
			by = append(by, fmt.Sprintf("%s=%x", name, text))
		}
		if utf8.RuneCountInString(narrowed[name]) > MaxQuery || !validText(narrowed[name]) {
			v.Add(name, "%s has at most %d characters, in UTF-8", name, MaxQuery)
		}
	}
	list.Of = narrowing(by)
	constellation.CheckLabelSelector(&v, "selector", q.Selector)
	if utf8.RuneCountInString(list.Q) > MaxQuery || !validText(list.Q) {
		v.Add("q", "q has at most %d characters, in UTF-8", MaxQuery)
	}
	if utf8.RuneCountInString(list.Name) > MaxQuery || !validText(list.Name) {
		v.Add("name", "name has at most %d characters, in UTF-8", MaxQuery)
	}
	sort := q.Sort
	if sort == "" {
		sort = l.fallback
	}
	list.Sort, list.Desc = strings.CutPrefix(sort, "-")
	key, ok := l.sorts[list.Sort]
	if !ok {
		v.Add("sort", "sort is one of %s, with '-' before it for descending", strings.Join(l.sort().Columns, ", "))
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
		if !valid || m.List != l.name || m.Sort != sort || m.Of != list.Of || !key.valid(m.Key) || !l.id.valid(m.ID) {
			v.Add("marker", "the marker is not one of this list with this search and order; leave it out to start again")
		}
		list.After = &postgres.Position{Key: m.Key, ID: m.ID}
		list.Back, list.Desc = m.Back, list.Desc != m.Back
	}
	if q.Count {
		list.Count = new(int)
	}
	return list, malformed(v.Err())
}

// page cuts what the database returned to the page asked for; it may be cut
// already, for its bytes.
func (l listing[T]) page(list postgres.List, rows []T) Page[T] {
	more := len(rows) >= list.Limit || *list.Cut
	rows = rows[:min(len(rows), list.Limit-1)]
	if list.Back {
		slices.Reverse(rows)
	}
	p := Page[T]{Items: rows, after: func(row *T) string { return l.marker(list, row, false) }}
	if list.Count != nil {
		p.Total = *list.Count
	}
	if len(rows) == 0 {
		return p
	}
	if more || list.Back {
		p.Marker = l.marker(list, &rows[len(rows)-1], false)
	}
	if more && list.Back || list.After != nil && !list.Back {
		p.Back = l.marker(list, &rows[0], true)
	}
	return p
}

// marker is where a page ends or, for the way back, begins.
func (l listing[T]) marker(list postgres.List, row *T, back bool) string {
	m := marker{List: l.name, Of: list.Of, Sort: list.Sort, Key: l.sorts[list.Sort].of(row), ID: l.id.of(row), Back: back}
	if list.Desc != list.Back {
		m.Sort = "-" + m.Sort
	}
	data, err := json.Marshal(m)
	if err != nil {
		panic("a marker has only strings: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

// narrowing is a short digest of what narrows a list; "" when nothing does.
func narrowing(by []string) string {
	if strings.Join(by, "") == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.ToLower(strings.Join(by, "\x00"))))
	return hex.EncodeToString(sum[:6])
}

// Sort is what a list may be sorted by: its columns in order, and what holds
// when a query names none.
type Sort struct {
	Columns []string
	Default string
}

// Values returns all that a query's sort may be.
func (s Sort) Values() []string {
	values := make([]string, 0, 2*len(s.Columns))
	for _, column := range s.Columns {
		values = append(values, column, "-"+column)
	}
	return values
}

// Sorts returns what each list may be sorted by, by the list's name, for the
// API's document.
func Sorts() map[string]Sort {
	return map[string]Sort{
		accountListing.name: accountListing.sort(), algorithmListing.name: algorithmListing.sort(),
		algorithmVersionListing.name: algorithmVersionListing.sort(), keyListing.name: keyListing.sort(),
		eventListing.name: eventListing.sort(), launchListing.name: launchListing.sort(), everyLaunchListing.name: everyLaunchListing.sort(),
		satelliteListing.name: satelliteListing.sort(), satelliteKeyListing.name: satelliteKeyListing.sort(),
		satelliteVersionListing.name: satelliteVersionListing.sort(),
		destinationListing.name:      destinationListing.sort(), notificationRuleListing.name: notificationRuleListing.sort(), deliveryListing.name: deliveryListing.sort(),
		mirrorListing.name: mirrorListing.sort(), foreignRegistryListing.name: foreignRegistryListing.sort(),
		tokenRuleListing.name: tokenRuleListing.sort(), ownerUseListing.name: ownerUseListing.sort(), repositoryUseListing.name: repositoryUseListing.sort(),
		quotaListing.name: quotaListing.sort(), retentionListing.name: retentionListing.sort(),
	}
}

func (l listing[T]) sort() Sort {
	return Sort{Columns: slices.Sorted(maps.Keys(l.sorts)), Default: l.fallback}
}

func decodeMarker(s string) (marker, bool) {
	var m marker
	if len(s) > MaxMarker {
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
		if constellation.IsInvisible(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n])
	}
	return s
}
