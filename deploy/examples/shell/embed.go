// Package shell is a sample algorithm in a few lines of shell that speaks the
// pipe protocol, in an image of Debian's own packages.
package shell

import "embed"

// Files are the image's description, image.json, and what goes into it.
//
//go:embed image.json pipe.sh
var Files embed.FS
