package backup_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/backup"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/storage"
)

// hexOf is the hash of a file as manifests have it.
func hexOf(data []byte) string { return strings.TrimPrefix(digestOf(string(data)), "sha256:") }

// rewrite changes the manifest of the only point in a folder, as a program that wrote
// it so would have, and returns the point's folder.
func rewrite(t *testing.T, dir string, change func(point string, m map[string]any)) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "points", "*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	read := func(name string) (m map[string]any) {
		data, err := os.ReadFile(filepath.Join(found[0], name))
		if err == nil {
			err = json.Unmarshal(data, &m)
		}
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	write := func(name string, m map[string]any) []byte {
		data, err := json.Marshal(m)
		if err == nil {
			err = os.WriteFile(filepath.Join(found[0], name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	m, end := read("manifest.json"), read("end.json")
	change(found[0], m)
	end["manifest_sha256"] = hexOf(write("manifest.json", m))
	write("end.json", end)
}

// TestANewerBackupIsRefused by its form and by its schema, before anything is written;
// verify says so too.
func TestANewerBackupIsRefused(t *testing.T) {
	t.Parallel()
	m, dir := newMothership(t), t.TempDir()
	m.mustTake(dir, 0)
	rewrite(t, dir, func(_ string, m map[string]any) { m["schema"], m["program"] = 999_999, "v9.0.0" })
	store := storage.FileLocation(filepath.Join(t.TempDir(), "store"))
	const want = "was made by the mothership v9.0.0, whose schema (999999) is newer"
	if _, err := restore(t, dir, postgrestest.EmptyURL(t), store, nil); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("restore of a newer schema = %v", err)
	}
	if _, err := os.Stat(store.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the refused restore made the store: %v", err)
	}
	if faults := verify(t, dir); len(faults) != 1 || !strings.Contains(faults[0].Problem, want) {
		t.Errorf("verify of a newer schema = %v", faults)
	}
	if err := os.WriteFile(filepath.Join(dir, "backup.json"), []byte(`{"format":2,"mothership":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"restore": second(restore(t, dir, postgrestest.EmptyURL(t), store, nil)),
		"verify":  second(backup.Verify(t.Context(), parse(t, dir), "", nil)),
		"take":    second(m.take(dir, 0)),
	} {
		if err == nil || !strings.Contains(err.Error(), "made by a newer mothership, in a form (2)") {
			t.Errorf("%s with backups of a newer form = %v", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// before is the schema of an earlier release.
const before = 175

// columnsOf returns the columns of each table of a schema.
func columnsOf(t *testing.T, schema int64) map[string][]string {
	t.Helper()
	url := postgrestest.EmptyURL(t)
	if err := postgres.MigrateTo(t.Context(), url, schema); err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // only read
	rows, err := db.Query(t.Context(), `
		SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'
		UNION ALL SELECT sequencename::text, '' FROM pg_sequences WHERE schemaname = 'public'`)
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string][]string{}
	var table, column string
	if _, err := pgx.ForEachRow(rows, []any{&table, &column}, func() error {
		columns[table] = append(columns[table], column)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return columns
}

// older makes a backup as an earlier release wrote it.
func older(t *testing.T, dir string) {
	t.Helper()
	had := columnsOf(t, before)
	rewrite(t, dir, func(point string, m map[string]any) {
		m["schema"], m["program"] = before, "v0.9.0"
		var tables []any
		for _, entry := range m["tables"].([]any) {
			table := entry.(map[string]any)
			name := table["name"].(string)
			file := filepath.Join(point, "tables", name+".copy.gz")
			if had[name] == nil {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
				continue
			}
			tables = append(tables, entry)
			columns := table["columns"].([]any)
			var keeps []int
			for i, c := range columns {
				if slices.Contains(had[name], c.(string)) {
					keeps = append(keeps, i)
				}
			}
			if len(keeps) == len(columns) {
				continue
			}
			pick := func(all []string) (picked []string) {
				for _, i := range keeps {
					picked = append(picked, all[i])
				}
				return picked
			}
			var names []string
			for _, c := range columns {
				names = append(names, c.(string))
			}
			table["columns"] = pick(names)
			stored, rows := withColumns(t, file, pick)
			table["stored"], table["bytes"], table["sha256"] = len(stored), rows, hexOf(stored)
		}
		m["tables"] = tables
		m["sequences"] = slices.DeleteFunc(m["sequences"].([]any), func(s any) bool { return had[s.(map[string]any)["name"].(string)] == nil })
	})
}

// withColumns rewrites a table's file with some of its columns alone.
func withColumns(t *testing.T, file string, pick func([]string) []string) (stored []byte, rows int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		out.WriteString(strings.Join(pick(strings.Split(strings.TrimSuffix(line, "\n"), "\t")), "\t") + "\n")
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := io.WriteString(w, out.String()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), os.WriteFile(file, packed.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes(), out.Len()
}

// TestAnOlderBackupIsBroughtForward: its rows come back under the schema of this
// program, with what that adds.
func TestAnOlderBackupIsBroughtForward(t *testing.T) {
	t.Parallel()
	m, dir := newMothership(t), t.TempDir()
	if err := m.db.UpsertQuota(t.Context(), constellation.Quota{Owner: "neo", Bytes: 1000, SetAt: time.Now(), SetBy: "neo"}); err != nil {
		t.Fatal(err)
	}
	m.mustTake(filepath.Join(t.TempDir(), "first"), 0) // so that there is a row of a backup
	m.mustTake(dir, 0)
	older(t, dir)
	if faults := verify(t, dir); len(faults) > 0 {
		t.Fatalf("verify of an older backup = %v", faults)
	}
	url := postgrestest.EmptyURL(t)
	done, err := restore(t, dir, url, storage.FileLocation(t.TempDir()), nil)
	if err != nil {
		t.Fatal(err)
	}
	newest, err := postgres.NewestSchema()
	if err != nil || done.SchemaBefore != before || done.SchemaNow != newest {
		t.Errorf("the schema went from %d to %d (%v), want %d to %d", done.SchemaBefore, done.SchemaNow, err, before, newest)
	}
	db, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	room, err := db.OwnerRoom(t.Context(), "neo")
	if err != nil || room == nil || room.Quota != 1000 || room.Bytes != int64(len("one")+len("two")) {
		t.Errorf("the quota after the restore is %+v, %v", room, err)
	}
	if last, err := db.LastBackup(t.Context()); err != nil || last == nil || last.VerifiedAt != nil {
		t.Errorf("the last backup after the restore is %+v, %v", last, err)
	}
}

// TestAStoreThatIsKept gets what it lacks, and keeps what it has beside.
func TestAStoreThatIsKept(t *testing.T) {
	t.Parallel()
	m, dir := newMothership(t), t.TempDir()
	m.mustTake(dir, 0)
	m.add("three") // since the backup
	id, err := m.db.Mothership(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := func(text string) string {
		hex := strings.TrimPrefix(digestOf(text), "sha256:")
		return filepath.Join(m.store.Dir(), "docker/registry/v2/blobs/sha256", hex[:2], hex, "data")
	}
	if err := os.Remove(path("one")); err != nil {
		t.Fatal(err)
	}
	url := postgrestest.EmptyURL(t)
	if _, err := restore(t, dir, url, m.store, nil); err == nil || !strings.Contains(err.Error(), "give --keep-store") {
		t.Errorf("without --keep-store = %v", err)
	}
	for owner, want := range map[string]string{"somebody": "belongs to another mothership", "": "does not say whose it is"} {
		_, err := restore(t, dir, url, m.store, func(o *backup.RestoreOptions) {
			o.KeepStore = true
			o.Registry = func(context.Context) (backup.Registry, error) { return &registry{owner: owner}, nil }
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("with a store of %q = %v, want %q", owner, err, want)
		}
	}
	done, err := restore(t, dir, url, m.store, func(o *backup.RestoreOptions) {
		o.KeepStore = true
		o.Registry = func(context.Context) (backup.Registry, error) { return &registry{owner: id.ID}, nil }
	})
	if err != nil || done.CopiedBlobs != 1 || len(done.Faults) > 0 {
		t.Fatalf("restore beside the store = %+v, %v; want the one blob copied that it lacks", done, err)
	}
	for _, text := range []string{"one", "two", "three"} {
		if data, err := os.ReadFile(path(text)); err != nil || string(data) != text {
			t.Errorf("the blob %q is %q, %v", text, data, err)
		}
	}
}

// TestAPointOfAnotherMothershipIsNamed: somebody copied it among those of this one.
func TestAPointOfAnotherMothershipIsNamed(t *testing.T) {
	t.Parallel()
	m, dir := newMothership(t), t.TempDir()
	m.mustTake(dir, 0)
	rewrite(t, dir, func(_ string, m map[string]any) { m["mothership"] = "11111111-1111-4111-8111-111111111111" })
	const want = "is of another mothership (11111111-1111-4111-8111-111111111111)"
	if faults := verify(t, dir); len(faults) != 1 || !strings.Contains(faults[0].Problem, want) {
		t.Errorf("verify = %v", faults)
	}
	if _, err := restore(t, dir, postgrestest.EmptyURL(t), storage.FileLocation(t.TempDir()), nil); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("restore = %v", err)
	}
	if list, err := backup.List(t.Context(), parse(t, dir)); err != nil || len(list) != 1 || !strings.Contains(list[0].Problem, want) {
		t.Errorf("list = %+v, %v", list, err)
	}
}

// smallDisk mounts a disk of a few bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small tmpfs")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("needs to mount a small tmpfs: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("unmount: %v %s", err, out)
		}
	})
	return dir
}

// TestATargetThatFillsUp in the middle of a backup: that is told in words, the one
// before stays whole, and with room again the next goes on.
func TestATargetThatFillsUp(t *testing.T) {
	t.Parallel()
	m, dir := newMothership(t), filepath.Join(smallDisk(t, "4m"), "backups")
	m.mustTake(dir, 0)
	var large []string
	for n := range 8 {
		large = append(large, strings.Repeat(string(rune('a'+n)), 1<<20))
	}
	m.add(large...)
	_, err := m.take(dir, 0)
	if constellation.KindOf(err) != constellation.KindUnavailable || !strings.Contains(err.Error(), "it is full; free some space") {
		t.Errorf("a backup onto a disk that fills up = %v", err)
	}
	last, err := m.db.Backups(t.Context(), 1)
	if err != nil || len(last) != 1 || !strings.Contains(last[0].Error, "it is full") {
		t.Errorf("the backup that failed = %+v, %v", last, err)
	}
	done, err := backup.Verify(t.Context(), parse(t, dir), "", nil)
	if err != nil || len(done.Points) != 1 || len(done.Unfinished) != 1 || len(done.Faults) > 0 {
		t.Errorf("what is there = %+v, %v; want the first backup whole, and one that was not ended", done, err)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "remount,size=32m", filepath.Dir(dir)).CombinedOutput(); err != nil {
		t.Fatalf("make room: %v %s", err, out)
	}
	m.mustTake(dir, 1)
	if faults := verify(t, dir); len(faults) > 0 {
		t.Errorf("with room again: %v", faults)
	}
}
