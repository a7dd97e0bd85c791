// Package python is a sample algorithm in Python that speaks the pipe
// protocol, in an image of Debian's own packages.
package python

import "embed"

// Files are the image's description, image.json, and what goes into it.
//
//go:embed image.json algorithmia-pipe algorithm.py
var Files embed.FS
