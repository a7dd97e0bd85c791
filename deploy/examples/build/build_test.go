package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestCommand(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want string // in the error, or in the output
		ok   bool
	}{
		{"nowhere to go", []string{"."}, "say where the image goes", false},
		{"half a login", []string{".", "--push", "localhost:1/a/b:c", "--username", "neo"}, "go together", false},
		{"no package", nil, "accepts 1 arg", false},
		{"platform", []string{"../shout", "--oci", t.TempDir(), "--platform", "linux"}, "OS/ARCH", false},
		{"layout", []string{"../shout", "--oci", t.TempDir(), "--label", "constellation.protocol=http"}, "sha256:", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := newCommand(strings.NewReader("secret\n"))
			var out bytes.Buffer
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			cmd.SetArgs(test.args)
			err := cmd.ExecuteContext(t.Context())
			if test.ok != (err == nil) {
				t.Fatalf("build %v = %v, want ok %v", test.args, err, test.ok)
			}
			got := out.String()
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("build %v = %q, want …%s…", test.args, got, test.want)
			}
		})
	}
}
