package constellation

import "testing"

func TestShortHash(t *testing.T) {
	t.Parallel()
	for hash, want := range map[string]string{
		"0123456789abcdef0123456789abcdef01234567": "0123456789ab",
		"sha256:9f86d081884c7d659a2feaa0c55ad015":  "9f86d081884c",
		"0123456789ab": "0123456789ab", "0123": "0123", "": "",
	} {
		if got := ShortHash(hash); got != want {
			t.Errorf("ShortHash(%q) = %q, want %q", hash, got, want)
		}
	}
}
