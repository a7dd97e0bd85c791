// Package s3 keeps a registry's content in a bucket of any store that speaks S3.
//
// It promises what distribution's storage driver interface asks for, and more
// where stores fail: a read that breaks off or stands still goes on where it
// was, an upload goes on from any process, and one that is dropped leaves no
// parts behind that somebody pays for. It needs no more of a store than single
// and multipart uploads, ranges, listings and copies within the bucket.
// It knows no registry, and no settings beyond those of [Options].
package s3
