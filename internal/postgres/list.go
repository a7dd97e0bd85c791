package postgres

import (
	"context"
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
	Q string
	// Name keeps what has this as its whole folded name; "" is all.
	Name  string
	Sort  string
	Desc  bool
	After *Position // nil is from the start
	// Of is what the list is of, beside Q; it is no condition here, and goes
	// into markers, so that one does not fit another list.
	Of    string
	Limit int
	// Back says, for those who read the rows, that the order is turned round:
	// they are the ones before a page, the nearest first.
	Back bool
	// Count not nil is told how many rows there are on all pages, at most
	// CountLimit and one more.
	Count *int
	// Cut not nil bounds the page to MaxPageBytes and is told whether that cut
	// it.
	Cut *bool
}

// CountLimit bounds what counting the rows of a list costs.
const CountLimit = 1000

// MaxPageBytes is about how many bytes of values a page has that is told
// List.Cut; one row it always has.
const MaxPageBytes = 1 << 20

// listQuery is a list: its order, its rows, and the arguments of its own
// conditions.
type listQuery struct {
	order ordering
	rows  selection
	args  pgx.NamedArgs
	// within, in place of rows, has the page in it already: for one that an
	// index alone chooses.
	within func(keyset) selection
	// counted is what there is to count, where that is less than the rows; its order
	// is no matter.
	counted func(keyset) string
}

// list returns a page of a list, and counts all pages when that is asked for.
func list[T any](ctx context.Context, db *DB, what string, q listQuery, l List) ([]T, error) {
	sql, args := q.page(l)
	rows, err := collectPage[T](ctx, db, what, sql, args, l.Cut)
	if err != nil || l.Count == nil {
		return rows, err
	}
	every := l
	every.After, every.Limit = nil, CountLimit+1
	sql, args = q.page(every)
	if q.counted != nil {
		sql = q.counted(q.order.keyset(every, args))
	}
	type counted struct{ Count int }
	found, err := collect[counted](ctx, db, what, "SELECT count(*)::int AS count FROM ("+sql+") every_page", args)
	if err == nil {
		*l.Count = found[0].Count
	}
	return rows, err
}

// collectPage is collect for a page: with cut not nil it keeps rows until they
// have MaxPageBytes, and tells cut whether there were more.
func collectPage[T any](ctx context.Context, db *DB, what, sql string, args pgx.NamedArgs, cut *bool) ([]T, error) {
	if cut == nil {
		return collect[T](ctx, db, what, sql, args)
	}
	var page []T
	err := db.retry(sql, func() error {
		page, *cut = nil, false
		rows, err := db.conn().Query(ctx, sql, pgx.QueryExecModeCacheDescribe, args)
		if err != nil {
			return err
		}
		defer rows.Close()
		for size := 0; rows.Next(); {
			for _, value := range rows.RawValues() {
				size += len(value)
			}
			if *cut = size > MaxPageBytes && len(page) > 0; *cut {
				break
			}
			row, err := pgx.RowToStructByName[T](rows)
			if err != nil {
				return err
			}
			page = append(page, row)
		}
		rows.Close() // what is left passes by
		return rows.Err()
	})
	return page, translate(err, what)
}

// anywhere reports whether a search is served by an index of trigrams; another
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
	// groups are what goes before some of the sorts, a smallint; a position's key
	// begins with it, in one digit.
	groups map[string]string
}

// selection is a query in its parts; where is one condition, "" is none.
type selection struct{ columns, from, where, groupBy string }

// sql returns the query for the rows that meet every condition too, in an
// order, as many as limit says.
func (s selection) sql(order, limit string, conditions ...string) string {
	var b strings.Builder
	b.WriteString("SELECT " + s.columns + "\nFROM " + s.from)
	word := "\nWHERE "
	for _, condition := range append([]string{s.where}, conditions...) {
		if condition != "" {
			b.WriteString(word + condition)
			word = "\n\tAND "
		}
	}
	if s.groupBy != "" {
		b.WriteString("\nGROUP BY " + s.groupBy)
	}
	b.WriteString("\nORDER BY " + order + "\nLIMIT " + limit)
	return b.String()
}

// keyset is what makes a selection a page: what is searched for, where the page
// begins, and the order, each in SQL that has nothing of the user's. A page
// begins after a row, not after a number of rows, so that page a thousand costs
// what page one does.
type keyset struct {
	list          List
	search, after string // conditions, "" for none
	order         string
}

// page returns the page of a selection.
func (k keyset) page(s selection) string { return s.sql(k.order, "@limit", k.search, k.after) }

// keyset makes the keyset of a page, and puts its values into args.
func (o ordering) keyset(l List, args pgx.NamedArgs) keyset {
	key, ok := o.sorts[l.Sort]
	if !ok {
		key = o.id
	}
	compare, direction := ">", "ASC"
	if l.Desc {
		compare, direction = "<", "DESC"
	}
	k := keyset{list: l, order: key.expr + " " + direction + ", " + o.id.expr + " " + direction}
	group := o.groups[l.Sort]
	if group != "" {
		k.order = group + " " + direction + ", " + k.order
	}
	if l.Q != "" {
		k.search = o.search + " LIKE @pattern"
		args["pattern"] = likeEscaper.Replace(l.Q) + "%"
		if l.anywhere() {
			args["pattern"] = "%" + likeEscaper.Replace(l.Q) + "%"
		}
	}
	if l.Name != "" {
		conditions := []string{o.search + " = @name"}
		if k.search != "" {
			conditions = append(conditions, k.search)
		}
		k.search, args["name"] = strings.Join(conditions, " AND "), l.Name
	}
	if l.After != nil && group != "" && l.After.Key != "" {
		k.after = "(" + group + ", " + key.expr + ", " + o.id.expr + ") " + compare + " (@after_group::text::smallint, @after_key::text::" + key.kind + ", @after_id::text::" + o.id.kind + ")"
		args["after_group"], args["after_key"], args["after_id"] = l.After.Key[:1], l.After.Key[1:], l.After.ID
	} else if l.After != nil {
		k.after = "(" + key.expr + ", " + o.id.expr + ") " + compare + " (@after_key::text::" + key.kind + ", @after_id::text::" + o.id.kind + ")"
		args["after_key"], args["after_id"] = l.After.Key, l.After.ID
	}
	args["limit"] = l.Limit
	return k
}

// page returns the SQL of a page with its arguments.
func (q listQuery) page(l List) (string, pgx.NamedArgs) {
	args := pgx.NamedArgs{}
	maps.Copy(args, q.args)
	k := q.order.keyset(l, args)
	if q.within == nil {
		return k.page(q.rows), args
	}
	return q.within(k).sql(k.order, "@limit"), args
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
