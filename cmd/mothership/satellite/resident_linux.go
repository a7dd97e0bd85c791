package satellite

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dropStartupCode takes the program's code out of this process's memory: of the
// 20 MB that its start has run, what serves needs little. Code that is run
// again comes back from the kernel's cache of the file, a few pages at a time.
func dropStartupCode() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		fields := strings.Fields(line)
		// Nothing ever writes to code and constants: no page of them can be lost.
		if len(fields) != 6 || (fields[1] != "r-xp" && fields[1] != "r--p") || fields[5] != program {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		begin, err := strconv.ParseUint(from, 16, 64)
		if err != nil {
			return
		}
		end, err := strconv.ParseUint(to, 16, 64)
		if err != nil {
			return
		}
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(begin), uintptr(end-begin), unix.MADV_DONTNEED)
	}
}
