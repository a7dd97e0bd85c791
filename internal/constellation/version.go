package constellation

import "strings"

// Version is the version of this source, as the changelog
// (web/docs/guide/13-changelog.md) has it. A build between two releases adds its
// commit as build metadata: 0.2.0+3a3f294.
const Version = "0.2.0"

// ImageTag returns a program's version as an image's tag, which has no plus
// sign.
func ImageTag(version string) string { return strings.ReplaceAll(version, "+", "-") }
