// Package reload applies configuration files when they change, and knows when the
// installer wants to hear of it.
//
// A [File] promises that it is applied once for each content, that a content which
// is refused leaves the one in use, and that each problem is reported once. A
// [Probe] is the installer's question which configuration is in use: it asks by a
// file beside the others, and the engine acknowledges in its log, since nothing
// else reaches the installer from every cluster.
//
// It does not know what the files say. It watches nothing: its caller polls.
package reload
