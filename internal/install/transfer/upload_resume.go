package transfer

import (
	"context"
	"time"
)

// settle is how long an upload must have stood still to be gone on with: the
// registry may still be storing what a connection held that has ended.
const settle = 100 * time.Millisecond

// ask finds out how much of a begun upload the registry has. What it does not
// know any more, or cannot say, is begun again.
func (j *upload) ask(ctx context.Context) error {
	for before := int64(-1); ; {
		stored, location, err := j.UploadStatus(ctx, j.repository, j.location)
		if err != nil {
			return err
		}
		if stored < 0 || stored > j.blob.Size {
			j.lost()
			return nil
		}
		j.location = location
		j.transfer.Skip(stored - j.stored)
		j.stored = stored
		if stored == before {
			return nil
		}
		before = stored
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settle):
		}
	}
}
