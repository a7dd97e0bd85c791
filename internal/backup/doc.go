// Package backup takes backups of a mothership while it serves, proves them, and
// restores one onto an empty place.
//
// A backup is a point in a target, which is a folder, a tar file or a bucket. Its
// tables are a snapshot of the database, and its blobs those that the snapshot knows:
// a point is the mothership at one moment. A target has many points and each blob
// once, under its digest. A point counts once its last file is there, so that a
// backup may be killed at any moment; what it left is removed by the next one.
//
// It promises that nothing is restored that is not what was backed up, that nothing
// is written over, and that a restore which was killed goes on when it is run again.
// It knows neither what the tables mean, beyond which blobs they refer to, nor pages.
package backup
