package bundle

import (
	"fmt"
	"io"
)

// ReadManifest reads a manifest or another small document of a bundle: 4 MiB at
// most, as registries have it.
func ReadManifest(r io.Reader) ([]byte, error) {
	const most = 4 << 20
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && len(data) > most {
		return nil, fmt.Errorf("a manifest has at most %d bytes", most)
	}
	return data, err
}
