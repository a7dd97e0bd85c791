package registry

import (
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/constellation-serving/constellation/internal/storage"
	"github.com/constellation-serving/constellation/internal/waittest"
)

func TestDiskFull(t *testing.T) {
	t.Parallel()
	for number, want := range map[syscall.Errno]bool{syscall.ENOSPC: true, syscall.EDQUOT: true, syscall.EIO: false} {
		path := &fs.PathError{Op: "write", Path: "/x", Err: number}
		for _, err := range []error{path, fmt.Errorf("write: %w", driver.Error{DriverName: "filesystem", Detail: path})} {
			if got := storage.Full(err); got != want {
				t.Errorf("Full(%v) = %v, want %v", err, got, want)
			}
		}
	}
	if e := toOCI(errDiskFull); e.status != 507 || !strings.Contains(e.message, "disk is full") {
		t.Errorf("a full disk is answered %d %s", e.status, e.message)
	}
}

// TestStandstill shows that an upload may take longer than the limit while it
// moves, and not when it stands still.
func TestStandstill(t *testing.T) {
	t.Parallel()
	const stall = 2 * time.Second
	ended := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w, done := moving(w, r, stall)
		defer done()
		buffer := make([]byte, 1)
		for {
			if _, err := r.Body.Read(buffer); err != nil {
				ended <- err
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
	}))
	defer server.Close()
	for _, standstill := range []bool{false, true} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for time.Since(begun) < 3*stall { // a byte now and then, for longer than the limit
			if _, err := conn.Write([]byte("1\r\nx\r\n")); err != nil {
				t.Fatalf("an upload that moves is cut off: %v", err)
			}
			time.Sleep(stall / 10) // the pace is what is tried
		}
		if !standstill {
			if _, err := conn.Write([]byte("0\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
		}
		err = waittest.Receive(t, "the end of the body", ended)
		if timedOut := strings.Contains(err.Error(), "timeout"); timedOut != standstill {
			t.Errorf("standstill %v: the body ends with %v", standstill, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}
