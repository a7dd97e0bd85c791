package kubetest

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// StartAPIServer runs a real kube-apiserver with etcd until the test ends, and
// returns an admin's kubeconfig.
func StartAPIServer(t *testing.T) string {
	t.Helper()
	program := os.Getenv("CONSTELLATION_APISERVER")
	if program == "" {
		t.Skip("needs CONSTELLATION_APISERVER, the path of the compiled deploy/devcluster; 'make test' sets it")
	}
	command := exec.Command(program, "apiserver", "--version", "1.37.2", "--state", t.TempDir()) //nolint:gosec // the test's own
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := command.StdinPipe() // its end ends the program
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close(); _ = command.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("start the API server: %v", err)
	}
	return strings.TrimSpace(line)
}
