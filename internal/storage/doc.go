// Package storage is where the registry's content is kept: a folder or a bucket
// that a setting names, opened as a storage driver of distribution.
//
// It promises that a setting is checked whole before anything is opened, that no
// credential is ever in one or printed from one, and that a store which cannot
// be used is named in one sentence with what mends it.
// It knows neither accounts nor what the content means, beyond that a blob is
// kept under its digest.
package storage
