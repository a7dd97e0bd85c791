package private

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// runAs is the user PostgreSQL runs as; nil credential is our own.
type runAs struct {
	name       string
	credential *syscall.Credential
}

// chooseUser picks who runs PostgreSQL, which refuses root: the owner of
// existing data, else the user postgres, else nobody.
func chooseUser(home string) (runAs, error) {
	if os.Geteuid() != 0 {
		return runAs{}, nil
	}
	if info, err := os.Stat(filepath.Join(home, "data")); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return runAs{
				name:       fmt.Sprintf("uid %d", st.Uid),
				credential: &syscall.Credential{Uid: st.Uid, Gid: st.Gid},
			}, nil
		}
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil || uid == 0 {
			continue
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			continue
		}
		return runAs{name: name, credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return runAs{}, constellation.Errorf(constellation.KindUnavailable,
		"PostgreSQL does not run as root and this machine has no user postgres or nobody; add one, or set DATABASE_URL")
}

// own returns path and all in it to the user.
func (u runAs) own(path string) error {
	if u.credential == nil {
		return nil
	}
	root, err := os.OpenRoot(path) // nobody can lead us out by a link
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // only walked
	return fs.WalkDir(root.FS(), ".", func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(p, int(u.credential.Uid), int(u.credential.Gid))
	})
}

// makeDir makes a folder that only the user may enter.
func (u runAs) makeDir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make PostgreSQL's folder: %w", err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("make PostgreSQL's folder: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return constellation.Errorf(constellation.KindInvalid, "%s is in the way: PostgreSQL needs a folder of that name", path)
	}
	uid := uint32(os.Geteuid())
	if u.credential != nil {
		uid = u.credential.Uid
	}
	if st.Uid == uid {
		return os.Chmod(path, 0o700) //nolint:gosec // a folder
	}
	// A folder of a stranger, in /tmp say, must not be trusted.
	if u.credential == nil || st.Uid != 0 {
		return constellation.Errorf(constellation.KindForbidden, "%s belongs to uid %d; PostgreSQL runs as uid %d: remove it or give it to that user", path, st.Uid, uid)
	}
	return os.Lchown(path, int(u.credential.Uid), int(u.credential.Gid))
}

// reach makes sure that the user gets to dir, which is in the data dir. Our
// own data dir is opened for passing through; what is above it is not ours.
func (u runAs) reach(ctx context.Context, dataDir, dir, binary string) error {
	if u.credential == nil {
		return nil
	}
	blocked := u.blockedAt(dir)
	if blocked == dataDir {
		info, err := os.Stat(dataDir)
		if err != nil {
			return dataDirError(dataDir, err)
		}
		if err := os.Chmod(dataDir, info.Mode().Perm()|0o011); err != nil {
			return dataDirError(dataDir, err)
		}
		blocked = u.blockedAt(dir)
	}
	if blocked == "" {
		return nil
	}
	// The mode bits say no, an ACL may say yes: ask the kernel.
	cmd := exec.CommandContext(ctx, binary, "--version")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: u.credential}
	if err := cmd.Run(); !errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return constellation.Errorf(constellation.KindForbidden,
		"PostgreSQL runs as the user %s, who may not pass through %s to the data dir; run 'chmod o+x %s', give another --data-dir, or set DATABASE_URL",
		u.name, blocked, blocked)
}

// blockedAt returns the first folder on the way to dir that the user's mode
// bits do not let him enter, "" when there is none.
func (u runAs) blockedAt(dir string) string {
	var chain []string
	for d := dir; ; d = filepath.Dir(d) {
		chain = append(chain, d)
		if d == filepath.Dir(d) {
			break
		}
	}
	for i := len(chain) - 1; i >= 0; i-- {
		info, err := os.Stat(chain[i])
		if err != nil {
			return chain[i]
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			continue
		}
		bit := fs.FileMode(0o001)
		switch {
		case st.Uid == u.credential.Uid:
			bit = 0o100
		case st.Gid == u.credential.Gid:
			bit = 0o010
		}
		if info.Mode()&bit == 0 {
			return chain[i]
		}
	}
	return ""
}
