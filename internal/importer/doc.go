// Package importer copies images of registries elsewhere into this one, as jobs in the
// background: it reads the manifests once, says before any layer whether all of it
// fits, fetches what is not here, and makes the version ready.
//
// An import goes on where it was when it is killed, when the registry fails, and on
// another server: what is here is not fetched again, not even half a layer. A tag is
// resolved once. Two imports of the same layer fetch it once. Nothing of an import
// under way is collected as garbage, since its parts are noted.
//
// What an import is and who may ask for it is internal/control's; how a registry is
// asked is internal/foreign's.
package importer
