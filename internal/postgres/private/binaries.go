package private

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Finder says where PostgreSQL's binaries are looked for.
type Finder struct {
	Path     string   // like PATH; "" is the environment's
	Patterns []string // folders after Path, as globs, best match last; nil is the usual ones
}

// usual are the folders of Debian, the PGDG packages, Fedora, Alpine,
// Homebrew and Postgres.app.
var usual = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/libexec/postgresql*",
	"/usr/bin",
	"/usr/local/pgsql/bin",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/opt/homebrew/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// binaries are an installed PostgreSQL: a folder with initdb and postgres.
type binaries struct {
	dir   string
	major string // "15"
}

func (b binaries) initdb() string   { return filepath.Join(b.dir, "initdb") }
func (b binaries) postgres() string { return filepath.Join(b.dir, "postgres") }

// oldestMajor is the oldest PostgreSQL whose SQL the migrations speak.
const oldestMajor = 13

// find returns the first installation of a usable version, or that of one
// major version when major is not "".
func (f Finder) find(ctx context.Context, major string) (binaries, error) {
	var seen []string
	for _, dir := range f.folders() {
		b := binaries{dir: dir}
		if !executable(b.initdb()) || !executable(b.postgres()) {
			continue
		}
		b.major = majorOf(ctx, b.postgres())
		if n, err := strconv.Atoi(b.major); err != nil || n < oldestMajor {
			continue
		}
		if major == "" || b.major == major {
			return b, nil
		}
		seen = append(seen, b.major)
	}
	if len(seen) > 0 {
		slices.Sort(seen)
		return binaries{}, constellation.Errorf(constellation.KindUnavailable,
			"the data dir was made by PostgreSQL %s and only %s is installed; install %s, or move the data with pg_dump and set DATABASE_URL",
			major, strings.Join(slices.Compact(seen), ", "), packageName(major))
	}
	return binaries{}, constellation.Errorf(constellation.KindUnavailable,
		"PostgreSQL is not installed; install the package %s, or set DATABASE_URL to a PostgreSQL server", packageName(major))
}

// folders lists where to look, best first, without doubles.
func (f Finder) folders() []string {
	path := f.Path
	if path == "" {
		path = os.Getenv("PATH")
	}
	var dirs []string
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		dirs = append(dirs, dir)
		for _, name := range []string{"postgres", "initdb"} {
			if real, err := filepath.EvalSymlinks(filepath.Join(dir, name)); err == nil {
				dirs = append(dirs, filepath.Dir(real))
			}
		}
	}
	patterns := f.Patterns
	if patterns == nil {
		patterns = usual
	}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // its only error is a bad pattern, and ours are fixed
		slices.SortFunc(found, func(a, b string) int { return versionIn(b) - versionIn(a) })
		dirs = append(dirs, found...)
	}
	var unique []string
	for _, dir := range dirs {
		if !slices.Contains(unique, dir) {
			unique = append(unique, dir)
		}
	}
	return unique
}

var number = regexp.MustCompile(`[0-9]+`)

// versionIn is the last number in a folder's name, 0 when there is none.
func versionIn(dir string) int {
	found := number.FindAllString(dir, -1)
	if len(found) == 0 {
		return 0
	}
	n, err := strconv.Atoi(found[len(found)-1])
	if err != nil {
		return 0
	}
	return n
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) ([0-9]+)`)

// majorOf asks a postgres binary for its major version, "" when it does not say.
func majorOf(ctx context.Context, postgres string) string {
	out, err := exec.CommandContext(ctx, postgres, "--version").Output()
	if err != nil {
		return ""
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return ""
	}
	return string(m[1])
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// packageName is what to install on this machine.
func packageName(major string) string {
	switch {
	case runtime.GOOS == "darwin":
		if major == "" {
			major = "17"
		}
		return "postgresql@" + major + " (brew)"
	case executable("/usr/bin/dnf"):
		return "postgresql-server (dnf)"
	case executable("/sbin/apk"):
		return "postgresql (apk)"
	case major != "":
		return "postgresql-" + major
	}
	return "postgresql"
}
