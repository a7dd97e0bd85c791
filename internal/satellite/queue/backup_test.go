package queue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestABackupPutsBackWhatIsMissing(t *testing.T) {
	t.Parallel()
	from := single(t)
	ctx := testContext(t)
	large := bytes.Repeat([]byte("large"), inline)
	for i := range 5 {
		publish(t, from, call(fmt.Sprint("call-", i)))
	}
	big := call("call-5")
	big.Data, big.Header = large, map[string]string{"a": "b"}
	publish(t, from, big)
	publish(t, from, Message{Kind: KindBatch, Algorithm: "x/y", ID: "call-0"})
	set(t, from, BucketCall, "a.b", []byte("1"))
	set(t, from, BucketDead, "a.b", large)
	var file bytes.Buffer
	wrote, err := from.Backup(ctx, &file)
	if err != nil || wrote != (Copied{Messages: 7, Records: 2}) {
		t.Fatalf("backup: %+v, %v", wrote, err)
	}

	to := single(t)
	publish(t, to, call("call-3"))
	set(t, to, BucketCall, "a.b", []byte("newer"))
	for i, want := range []Copied{{Messages: 6, Records: 1, Known: 2}, {Known: 9}} {
		got, err := to.Restore(ctx, bytes.NewReader(file.Bytes()))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("restore %d: %v\n%s", i, err, diff)
		}
	}
	holds(t, to, 6)
	if v, _, err := to.Record(ctx, BucketCall, "a.b"); err != nil || string(v) != "newer" {
		t.Errorf("what was there: %q, %v", v, err)
	}
	if v, _, err := to.Record(ctx, BucketDead, "a.b"); err != nil || !bytes.Equal(v, large) {
		t.Errorf("a large record: %d bytes, %v", len(v), err)
	}

	empty := single(t)
	text := file.String()
	for name, bad := range map[string]string{
		"cut off":      text[:len(text)/2],
		"no last line": text[:strings.LastIndex(strings.TrimSpace(text), "\n")+1],
		"changed":      strings.Replace(text, `"id":"call-1"`, `"id":"call-9"`, 1),
		"a line gone":  text[:strings.Index(text, "\n")+1] + strings.SplitN(text, "\n", 3)[2],
		"newer":        strings.Replace(text, `"format":1`, `"format":2`, 1),
		"empty":        "",
		"not one":      "{}\n",
		"no JSON":      "\x00\x01\n",
	} {
		if got, err := empty.Restore(ctx, strings.NewReader(bad)); !errors.Is(err, ErrInvalid) || got != (Copied{}) {
			t.Errorf("%s: %+v, %v; want ErrInvalid and nothing stored", name, got, err)
		}
	}
	// What cannot be read twice is stored as it comes, and the error says so.
	if _, err := empty.Restore(ctx, io.MultiReader(strings.NewReader(text[:len(text)-10]))); !errors.Is(err, ErrInvalid) {
		t.Errorf("a stream that is cut off: %v", err)
	}
}
