package postgres

import (
	"maps"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5"
)

// List asks for one page. Sort is one of the list's own columns; the caller
// has checked it.
type List struct {
	// Q keeps what has it in its folded name, or at the start of it when no
	// three letters or digits of it are in a row; "" is all.
	Q     string
	Sort  string
	Desc  bool
	After *Position // nil is from the start
	Limit int
}

// anywhere says whether a search is served by an index of trigrams; another
// is by the index that orders names.
func (l List) anywhere() bool {
	run := 0
	for _, r := range l.Q {
		if run++; !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			run = 0
		}
		if run == 3 {
			return true
		}
	}
	return false
}

// Position is where a page ends: the sort key and the id of its last row, as
// text.
type Position struct{ Key, ID string }

// column is an SQL expression to order by, and its type.
type column struct{ expr, kind string }

// ordering is the allow-list of a list query: what it may be sorted by, what
// tells rows with equal keys apart, and what a search looks at.
type ordering struct {
	sorts  map[string]column
	id     column
	search string
}

// page completes a list query, an SQL literal that ends its conditions with
// /*page*/ and each of its texts with /*order*/: with a keyset condition, so
// that page a thousand costs what page one does. /*after*/ is that condition
// without what is searched for, /*by*/ the order without its limit. Nothing of
// the user's gets into the text.
func (o ordering) page(query string, l List, args pgx.NamedArgs) (string, pgx.NamedArgs) {
	args = maps.Clone(args)
	if args == nil {
		args = pgx.NamedArgs{}
	}
	key, ok := o.sorts[l.Sort]
	if !ok {
		key = o.id
	}
	compare, direction := ">", "ASC"
	if l.Desc {
		compare, direction = "<", "DESC"
	}
	var search, after string
	if l.Q != "" {
		search = " AND " + o.search + " LIKE @pattern"
		args["pattern"] = likeEscaper.Replace(l.Q) + "%"
		if l.anywhere() {
			args["pattern"] = "%" + likeEscaper.Replace(l.Q) + "%"
		}
	}
	if l.After != nil {
		after = " AND (" + key.expr + ", " + o.id.expr + ") " + compare +
			" (@after_key::text::" + key.kind + ", @after_id::text::" + o.id.kind + ")"
		args["after_key"], args["after_id"] = l.After.Key, l.After.ID
	}
	args["limit"] = l.Limit
	by := " ORDER BY " + key.expr + " " + direction + ", " + o.id.expr + " " + direction
	return strings.NewReplacer("/*page*/", search+after, "/*after*/", after, "/*by*/", by, "/*order*/", by+" LIMIT @limit").Replace(query), args
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
