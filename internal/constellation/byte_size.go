package constellation

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseByteSize reads a number of bytes with a unit of a thousand: 50GB.
func ParseByteSize(text string) (int64, error) {
	units := []struct {
		suffix string
		bytes  float64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1}, {"", 1}}
	for _, unit := range units {
		digits, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
		if err != nil || !(n >= 0) || n*unit.bytes > 1e18 {
			break
		}
		return int64(n * unit.bytes), nil
	}
	return 0, fmt.Errorf("a size is a number with kB, MB, GB or TB, such as 50GB; not %q", text)
}
