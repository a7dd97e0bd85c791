package private

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// longestSocketPath is what fits in sockaddr_un.sun_path on every system we
// run on (104 on macOS, 108 on Linux, both with a final NUL).
const longestSocketPath = 103

// socketDir makes the folder of the unix socket: in the data dir, or, when
// that path is too long or has characters that PostgreSQL's list of folders
// does not take, in a folder named for it.
func (c *cluster) socketDir(home string) (string, error) {
	dir := filepath.Join(home, "run")
	if len(dir)+len("/.s.PGSQL."+port+".lock") > longestSocketPath || strings.ContainsAny(dir, `",\`) {
		sum := sha256.Sum256([]byte(home))
		dir = filepath.Join(shortBase(), "constellation-"+hex.EncodeToString(sum[:8]))
	}
	return dir, c.user.makeDir(dir)
}

func shortBase() string {
	if os.Geteuid() == 0 {
		if info, err := os.Stat("/run"); err == nil && info.IsDir() {
			return "/run"
		}
	}
	return "/tmp"
}

// clearSocket removes the socket's folder once the server has ended.
func (c *cluster) clearSocket() {
	for _, name := range []string{"/.s.PGSQL." + port, "/.s.PGSQL." + port + ".lock"} {
		_ = os.Remove(c.socket + name) // usually gone: PostgreSQL removes them
	}
	_ = os.Remove(c.socket) // stays when someone put a file there
}

// ownerOf is the uid a file belongs to.
func ownerOf(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Uid
	}
	return 0
}
