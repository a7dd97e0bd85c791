// Package launchfile reads the files that configure a launch: written by hand, or
// kept in Git with environment variables for what differs from place to place.
//
// It promises that what it returns is at a place where a setting belongs, once a
// file, as text, with the file and line that it stands at, and that what is in an
// environment variable is never read as anything but text. It refuses what YAML
// has and a configuration does not need: anchors, aliases, tags, several
// documents. It knows no launch: whether a value is one that its key allows is
// asked where it is set.
package launchfile
