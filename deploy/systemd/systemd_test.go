// Package systemd holds the mothership's unit against systemd's own programs, and
// runs what it says as a process.
package systemd

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const unit = "mothership.service"

// setting is what the unit says; of several lines all.
func setting(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, m := range regexp.MustCompile(`(?m)^`+name+`=(.*)$`).FindAllStringSubmatch(string(data), -1) {
		values = append(values, m[1])
	}
	return values
}

// TestUnit: systemd takes every line, and says that the service may do little.
func TestUnit(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze: apt-get install systemd")
	}
	data, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	// The program that it starts is elsewhere, and any stands for it here.
	here := filepath.Join(t.TempDir(), unit)
	if err := os.WriteFile(here, []byte(strings.ReplaceAll(string(data), "/usr/local/bin/mothership", "/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program, "verify", "--man=no", "--recursive-errors=no", here).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), program, "security", "--offline=true", "--no-pager", "--threshold=20", here).CombinedOutput()
	if err != nil { // of 100; above it the exit code is 1
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
	t.Log(regexp.MustCompile(`Overall exposure.*`).FindString(string(out)))
}

// TestNotify runs the unit's program as the unit has it, and is its service manager:
// it is told when the server is ready, and when it stops.
func TestNotify(t *testing.T) {
	t.Parallel()
	bin := os.Getenv("CONSTELLATION_BIN")
	if bin == "" {
		t.Skip("needs CONSTELLATION_BIN (the folder with the built programs): run make ways")
	}
	dir, err := os.MkdirTemp("", "systemd") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL's user passes through
		t.Fatal(err)
	}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "notify")})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close() //nolint:errcheck // only read
	words := strings.Fields(setting(t, "ExecStart")[0])
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, filepath.Base(words[0])), words[1:]...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket.LocalAddr().String())
	cmd.Env = append(cmd.Env, environmentFile(t)...)
	for _, variable := range setting(t, "Environment") {
		cmd.Env = append(cmd.Env, strings.ReplaceAll(variable, "/var/lib/constellation", filepath.Join(dir, "data")))
	}
	cmd.Env = append(cmd.Env, "CONSTELLATION_LISTEN=127.0.0.1:0")
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	expect(t, socket, "READY=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	expect(t, socket, "STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Errorf("asked to stop, it ended with %v", err)
	}
}

// environmentFile are the settings of mothership.env as it comes.
func environmentFile(t *testing.T) []string {
	t.Helper()
	file, err := os.Open("mothership.env")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // only read
	var env []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if line := lines.Text(); line != "" && line[0] != '#' {
			env = append(env, line)
		}
	}
	return env
}

// expect waits for a message of the service.
func expect(t *testing.T, socket *net.UnixConn, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	deadline, _ := ctx.Deadline()
	if err := socket.SetReadDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1000)
	n, err := socket.Read(buffer)
	if err != nil || string(buffer[:n]) != want {
		t.Fatalf("the service says %q (%v), want %s", buffer[:n], err, want)
	}
}
