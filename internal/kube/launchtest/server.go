package launchtest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// ServerVersions are the API servers that the tests run against.
var ServerVersions = []string{"1.32.2", "1.37.2"}

// apiServer is a real kube-apiserver with etcd, for as long as the tests run.
type apiServer struct {
	start      sync.Once
	err        error
	kubeconfig string
	stdin      io.Closer
	done       *exec.Cmd
}

var servers = map[string]*apiServer{"1.32.2": {}, "1.37.2": {}}

// RunTests runs a package's tests and ends the API servers that they started.
func RunTests(m *testing.M) int {
	code := m.Run()
	for _, s := range servers {
		if s.done != nil {
			_ = s.stdin.Close()
			_ = s.done.Wait()
		}
	}
	return code
}

// Kubeconfig returns the kubeconfig of an admin of a running API server.
func Kubeconfig(t *testing.T, version string) string {
	t.Helper()
	program := os.Getenv("CONSTELLATION_APISERVER")
	if program == "" {
		t.Skip("needs CONSTELLATION_APISERVER, the path of the compiled deploy/devcluster; 'make test' sets it")
	}
	s := servers[version]
	s.start.Do(func() { s.err = s.run(program, version) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.kubeconfig
}

func (s *apiServer) run(program, version string) error {
	dir, err := os.MkdirTemp("", "constellation-apiserver-")
	if err != nil {
		return err
	}
	command := exec.Command(program, "apiserver", "--version", version, "--state", dir) //nolint:gosec // the test's own
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if s.stdin, err = command.StdinPipe(); err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	s.done = command
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("start the API server %s: %w", version, err)
	}
	s.kubeconfig = strings.TrimSpace(line)
	return nil
}
