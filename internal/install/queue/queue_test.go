package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/install/queue"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

const launchID = "5f0c2d7e-3c52-4f6a-9d63-0a6f5f0b7c11"

// backup writes a backup of one call, one result, one dead letter and one other
// record.
func backup(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := operate.NewWriter(&out, operate.NewHeader(launchID, time.Now()))
	for _, item := range []operate.Item{
		{Kind: "call", ID: "req-1", Data: []byte("input")}, {Bucket: "call", Key: "req-2"},
		{Bucket: "dead", Key: "req-3"}, {Bucket: "batch", Key: "b"},
	} {
		if err := w.Put(item); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestCheckBackup(t *testing.T) {
	t.Parallel()
	whole := backup(t)
	damaged := bytes.Replace(whole, []byte("input"), []byte("Input"), 1)
	for _, test := range []struct {
		name, launchID string
		data           []byte
		code           fault.Code // 0 is none
		says           string
	}{
		{"whole", launchID, whole, 0, ""},
		{"of another launch", "another", whole, fault.CodeUsage, "is a backup of launch " + launchID},
		{"cut off", launchID, whole[:len(whole)-20], fault.CodeIntegrity, "is not restored"},
		{"damaged", launchID, damaged, fault.CodeIntegrity, "is not restored"},
		{"no backup", launchID, []byte("{}\n"), fault.CodeIntegrity, "no backup of a queue"},
	} {
		file := filepath.Join(t.TempDir(), "backup")
		if err := os.WriteFile(file, test.data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := queue.CheckBackup(test.launchID, file, progress.New(io.Discard))
		if test.code != 0 {
			if err == nil || fault.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: CheckBackup = %v, want code %d and %q", test.name, err, test.code, test.says)
			}
			continue
		}
		if err != nil || s.File != file || s.Items != 4 || s.Calls != 1 || s.Results != 1 || s.Dead != 1 || s.Bytes != int64(len(whole)) {
			t.Errorf("%s: CheckBackup = %+v, %v", test.name, s, err)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		code fault.Code
		says string
	}{
		{errors.New("broken pipe"), fault.CodeNetwork, "the engine gave no answer: broken pipe"},
		{fmt.Errorf("ask: %w", &operate.AnswerError{Status: 403, Message: "no proof"}), fault.CodeAuth, "the engine refuses: no proof"},
		{&operate.AnswerError{Status: 503, Message: "the queue is away"}, fault.CodeFailed, "the queue is away"},
		{fault.Errorf(fault.CodePreflight, "as it was"), fault.CodePreflight, "as it was"},
	} {
		err := queue.Explain(test.err)
		if fault.CodeOf(err) != test.code || !strings.HasPrefix(err.Error(), test.says) {
			t.Errorf("Explain(%v) = %v with code %d, want %q with code %d", test.err, err, fault.CodeOf(err), test.says, test.code)
		}
	}
	if err := queue.Explain(nil); err != nil {
		t.Errorf("Explain(nil) = %v", err)
	}
	if err := queue.Explain(context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("Explain(Canceled) = %v", err)
	}
}
