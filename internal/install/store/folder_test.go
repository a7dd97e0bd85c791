package store

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
)

// A place that cannot be written to is read-only media, another user's, or our
// own without the right: each is told in its own words.
func TestUnwritableSaysWhy(t *testing.T) {
	t.Parallel()
	ours, theirs := t.TempDir(), "/" // which is root's
	if os.Geteuid() == 0 {
		theirs = t.TempDir()
		if err := os.Chown(theirs, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		err       error
		path, why string
	}{
		"read-only media": {syscall.EROFS, theirs, "read-only file system"},
		"another user's":  {fs.ErrPermission, theirs, "belongs to another user"},
		"our own":         {fs.ErrPermission, ours, "chmod u+rwx"},
		"not there":       {fs.ErrPermission, theirs + "/none", "belongs to another user"},
	} {
		got := unwritable(test.err, test.path).Error()
		for _, why := range []string{"read-only file system", "belongs to another user", "chmod u+rwx"} {
			if strings.Contains(got, why) != (why == test.why) {
				t.Errorf("%s: %q, want it to say %q alone", name, got, test.why)
			}
		}
		if !strings.Contains(got, test.path) || !strings.Contains(got, "--deployment-dir") {
			t.Errorf("%s: %q, want the place and what else to name", name, got)
		}
	}
}
