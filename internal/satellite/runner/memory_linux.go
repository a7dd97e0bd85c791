package runner

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// memoryCounters are where a container sees how often the kernel killed a
// process of its own for memory: cgroup v2, and v1.
var memoryCounters = []string{"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"}

// memoryLimits are where it sees its limit.
var memoryLimits = []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// countMemoryKills returns the count of the first file that has one, else 0.
func countMemoryKills(files []string) int {
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
			if count, ok := strings.CutPrefix(lines.Text(), "oom_kill "); ok {
				n, _ := strconv.Atoi(count)
				return n
			}
		}
	}
	return 0
}

// memoryLimit returns the container's limit such as " of 512 MiB", "" when it
// has none.
func memoryLimit() string {
	for _, file := range memoryLimits {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
		if err == nil && n < 1<<50 { // v1 says "none" by a huge number
			return " of " + strconv.FormatInt(n>>20, 10) + " MiB"
		}
	}
	return ""
}
