// Package store is a launch on this machine: its folder, and what was carried here
// to become one.
//
// A [Folder] has a launch's signed parts, its bundle and the operator's notes; a
// [Launch] is one as it was read, an [Archive] one that lies elsewhere, as an
// export, a folder or an OCI layout.
//
// It promises:
//
//   - No name and no symbolic link leads out of a folder.
//   - What is signed is held to its signature and its digests before it is used,
//     by a key that this machine trusts.
//   - launch.json is written first and index.json last: a folder with a matching
//     index.json is whole, and a file has its name only when its bytes are durable.
//   - A note counts only on the machine that made it.
//   - Two commands that change one launch wait for each other.
//
// It knows no verb, no setting, no network and no cluster.
package store
