package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/constellation-serving/constellation/internal/tracing"
)

// spanTracer makes a span of each statement that is run below one. Statements of a
// transaction are below the transaction's span, whoever's context they are run with.
type spanTracer struct {
	statements sync.Map // of SQL, *statement
	known      atomic.Int32
}

// Traced has statements and transactions traced, where the context of one has a span.
func Traced(c *pgxpool.Config) { c.ConnConfig.Tracer = &spanTracer{} }

// statement is what a span tells of one.
type statement struct{ name, text string }

const (
	maxStatements = 4096 // that are remembered
	maxText       = 500  // bytes of a statement that a span tells
)

// transactionKey is where a connection keeps the span of its transaction.
const transactionKey = "constellation.transaction"

// TraceQueryStart is part of pgx.QueryTracer.
func (t *spanTracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if span, ok := conn.PgConn().CustomData()[transactionKey].(tracing.Span); ok {
		ctx = span.In(ctx)
	}
	ctx, span := tracing.Start(ctx, "SQL", tracing.Client)
	if span.On() {
		s := t.statement(data.SQL)
		span.Name(s.name)
		span.Set("db.system.name", "postgresql")
		span.Set("db.query.text", s.text)
	}
	return context.WithValue(ctx, querySpan{}, span)
}

// holdSpan has a transaction's statements below its span until the function is called.
func holdSpan(tx pgx.Tx, span tracing.Span) func() {
	if !span.On() {
		return func() {}
	}
	data := tx.Conn().PgConn().CustomData()
	data[transactionKey] = span
	return func() { delete(data, transactionKey) }
}

type querySpan struct{}

// TraceQueryEnd is part of pgx.QueryTracer.
func (t *spanTracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	span, _ := ctx.Value(querySpan{}).(tracing.Span)
	if !span.On() {
		return
	}
	if data.Err == nil {
		span.SetInt("db.response.returned_rows", data.CommandTag.RowsAffected())
	}
	endSQL(span, data.Err)
}

// endSQL ends a span with the SQLSTATE of what failed: a message has values.
func endSQL(span tracing.Span, err error) {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		span.Set("db.response.status_code", pgErr.Code)
		span.Fail(pgErr.Code)
		err = nil
	}
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	span.End(err)
}

// statement describes a statement: they are few, and their texts are the program's.
func (t *spanTracer) statement(sql string) *statement {
	if s, ok := t.statements.Load(sql); ok {
		return s.(*statement)
	}
	text := withoutValues(sql)
	s := &statement{name: statementName(text), text: text[:min(len(text), maxText)]}
	if t.known.Load() < maxStatements {
		t.known.Add(1)
		t.statements.Store(sql, s)
	}
	return s
}

// withoutValues returns a statement on one line, its texts and comments left out.
func withoutValues(sql string) string {
	var b strings.Builder
	space := false
	for i := 0; i < len(sql); i++ {
		switch c := sql[i]; {
		case c == ' ' || c == '\t' || c == '\n':
			space = b.Len() > 0
			continue
		case strings.HasPrefix(sql[i:], "--"):
			i += max(strings.IndexByte(sql[i:]+"\n", '\n')-1, 0)
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		if sql[i] != '\'' {
			b.WriteByte(sql[i])
			continue
		}
		i += 1 + strings.IndexByte(sql[i+1:]+"'", '\'')
		b.WriteByte('?')
	}
	return b.String()
}

// verbs are what a statement does, where it does not begin with it.
var verbs = []string{"SELECT", "INSERT", "UPDATE", "DELETE"}

// statementName is the verb of a statement with the first table that it names.
func statementName(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" (),;", r) })
	verb, table := "", ""
	for i, word := range words {
		word = strings.ToUpper(word)
		if verb == "" && (word != "WITH" && i == 0 || slices.Contains(verbs, word)) {
			verb = word
		}
		if table == "" && i+1 < len(words) && (word == "FROM" || word == "INTO" || word == "UPDATE") && !slices.Contains(verbs, strings.ToUpper(words[i+1])) {
			table = words[i+1]
		}
	}
	if table == "" {
		return verb
	}
	return verb + " " + table[:min(len(table), 64)]
}
