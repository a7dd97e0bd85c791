package constellation

import "time"

// Backup is one that runs, or that ran.
type Backup struct {
	ID         int64
	Target     string
	StartedAt  time.Time
	StartedBy  string
	FinishedAt *time.Time
	Point      string // what it is called in its target
	Blobs      int64
	Bytes      int64  // of all that it holds
	Written    int64  // of these, what its target did not have
	Error      string // why it failed
	VerifiedAt *time.Time
	Fault      string // what was wrong with it when it was read again
}
