package constellation

import "strconv"

// OwnerUse is what the repositories of an owner take, and may take.
type OwnerUse struct {
	Name  string
	Blobs int64
	Bytes int64
	Quota *int64 // nil is any number of bytes
}

// QuotaLevels are how many percent of a quota are used when people are told, the least
// first.
var QuotaLevels = []int{80, 95}

// Percent returns how many percent of its quota an owner uses, rounded down; ok is
// false where there is none.
func (u OwnerUse) Percent() (percent int, ok bool) {
	if u.Quota == nil {
		return 0, false
	}
	return QuotaPercent(u.Bytes, *u.Quota), true
}

// QuotaPercent returns how many percent of a quota are used, rounded down, at most a
// million.
func QuotaPercent(bytes, quota int64) int {
	if quota <= 0 {
		return 100
	}
	return int(min(float64(bytes)/float64(quota)*100, 1e6))
}

// QuotaLevel returns the highest of QuotaLevels that is reached, 0 for none.
func QuotaLevel(bytes, quota int64) int {
	reached := 0
	for _, level := range QuotaLevels {
		if QuotaPercent(bytes, quota) >= level {
			reached = level
		}
	}
	return reached
}

// FormatByteSize is a number of bytes as ParseByteSize reads it back exactly.
func FormatByteSize(n int64) string {
	for _, unit := range []struct {
		suffix string
		bytes  int64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if n >= unit.bytes && n%(unit.bytes/1000) == 0 {
			return strconv.FormatFloat(float64(n)/float64(unit.bytes), 'f', -1, 64) + unit.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}
