package satellite

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// tree is the command below the program that it is part of.
func tree(name string, std command.Streams) *cobra.Command {
	return command.Subcommands(&cobra.Command{Use: name}, NewCommand(std, "test"))
}

// TestEventLoopFlag: the event loop is on where there is one, and the flag
// turns it off; the engine says which of both when it starts.
func TestEventLoopFlag(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"routes.json": `{"satellite":{"id":"s","name":"n","version":1},"launch":{"id":"l"},"algorithms":[]}`, "keys.json": `{"keys":[]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	processors := runtime.GOMAXPROCS(0) // of which an engine with loops takes more
	t.Cleanup(func() { runtime.GOMAXPROCS(processors) })
	for flag, want := range map[string]bool{"--event-loop": eventloop.Supported, "--event-loop=false": false, "": eventloop.Supported} {
		args := strings.Fields("mothership satellite engine --listen 127.0.0.1:0 --metrics-listen= --drain-delay 0s --config " + dir + " " + flag)
		ctx, stop := context.WithCancel(t.Context())
		reader, writer := io.Pipe()
		exit, loop := make(chan int, 1), make(chan any, 1)
		go func() {
			exit <- command.Run(ctx, args, command.Streams{In: strings.NewReader(""), Out: io.Discard, Err: writer}, tree)
			_ = writer.Close()
		}()
		go func() {
			defer close(loop)
			for lines := bufio.NewScanner(reader); lines.Scan(); {
				var line map[string]any
				if json.Unmarshal(lines.Bytes(), &line) == nil && line["msg"] == "the engine serves" {
					loop <- line["event_loop"]
				}
			}
		}()
		if got := waittest.Receive(t, "the engine to serve", loop); got != want {
			t.Errorf("%q: the event loop is %v, want %v", flag, got, want)
		}
		stop()
		if code := waittest.Receive(t, "the end of the engine", exit); code != 0 {
			t.Errorf("%q: exit code %d, want 0", flag, code)
		}
	}
}
