// Package weights is the form of a model's weights as an OCI artifact: which
// manifests are weights, which files their layers hold, and under which paths.
// The registry holds a push to it, and the satellite what it unpacks.
//
// A layer is one file, whose path its title says (as "oras push" makes it), or
// an archive of files (as an image has it, and "oras push" of a folder).
// Whatever a layer holds comes out below the folder that it is unpacked into:
// no "..", no absolute path, no device, no hard link, no symbolic link that
// leads out; and no more files and bytes than a Budget allows.
//
// The package knows no registry, no network and no disk.
package weights
