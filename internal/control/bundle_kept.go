package control

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/postgres"
)

const (
	// bundleLifetime is how long a bundle that was given out is kept for the other
	// servers: a download that takes longer has its documents long since.
	bundleLifetime = time.Hour
	// maxKeptBundle bounds what is unpacked of a kept bundle.
	maxKeptBundle = 64 << 20
)

func keptPlace(inputs string) string { return "launch_bundles/" + inputs }

// keepBundle keeps a bundle for the other servers. One that cannot be kept, as on a
// standby, is as good for who asked for it.
func (s *Service) keepBundle(ctx context.Context, c cachedBundle) {
	err := func() error {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if err := json.NewEncoder(w).Encode(c.bundle); err != nil {
			return fmt.Errorf("encode a bundle: %w", err)
		}
		if err := w.Close(); err != nil {
			return fmt.Errorf("pack a bundle: %w", err)
		}
		holds := slices.AppendSeq(slices.Collect(maps.Keys(c.bundle.Documents)), maps.Keys(c.bundle.Repositories))
		return s.options.DB.PutLaunchBundle(ctx, postgres.LaunchBundle{
			Inputs: c.inputs, SatelliteID: c.satelliteID, LaunchID: c.launchID,
			Sealed: s.options.Sealer.Seal(keptPlace(c.inputs), packed.Bytes()),
		}, holds, s.now())
	}()
	if err != nil {
		s.options.Log.WarnContext(ctx, "keep a bundle for the other servers", "launch_id", c.launchID, "error", err)
	}
}

// keptBundle returns the bundle of a satellite that holds a digest and that another
// server gave out, nil when there is none.
func (s *Service) keptBundle(ctx context.Context, satelliteID, digest string) (*bundle.Bundle, error) {
	kept, err := s.db.LaunchBundle(ctx, satelliteID, digest)
	if err != nil || kept == nil {
		return nil, err
	}
	packed, err := s.options.Sealer.Open(keptPlace(kept.Inputs), kept.Sealed)
	if err != nil { // of a key that is not in use any more
		return nil, nil //nolint:nilerr // as if it were not kept
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack a kept bundle: %w", err)
	}
	b := &bundle.Bundle{}
	if err := json.NewDecoder(io.LimitReader(r, maxKeptBundle)).Decode(b); err != nil {
		return nil, fmt.Errorf("read a kept bundle: %w", err)
	}
	s.memory.bundles.put(cachedBundle{inputs: kept.Inputs, satelliteID: kept.SatelliteID, launchID: kept.LaunchID, bundle: b})
	return b, nil
}
