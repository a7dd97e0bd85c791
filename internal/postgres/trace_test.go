package postgres

import "testing"

// What a span tells of a statement has no values, whoever wrote them into it.
func TestStatementsAreToldWithoutValues(t *testing.T) {
	t.Parallel()
	tr := &spanTracer{}
	for sql, want := range map[string][2]string{
		"\n\tSELECT a,\n\t\tb FROM t -- why 'not'\n\tWHERE c = @c": {"SELECT t", "SELECT a, b FROM t WHERE c = @c"},
		"INSERT INTO accounts (name) VALUES ('s3cret''s', $1)":     {"INSERT accounts", "INSERT INTO accounts (name) VALUES (??, $1)"},
		"WITH x AS (DELETE FROM y RETURNING *) SELECT 1":           {"DELETE y", "WITH x AS (DELETE FROM y RETURNING *) SELECT 1"},
		"UPDATE t SET a = 'unfinished s3cret":                      {"UPDATE t", "UPDATE t SET a = ?"},
		"begin":                                                    {"BEGIN", "begin"},
		"":                                                         {"", ""},
	} {
		got := tr.statement(sql)
		if got.name != want[0] || got.text != want[1] {
			t.Errorf("statement(%q) = %+v, want %q", sql, *got, want)
		}
	}
}
