// Package manifests writes rendered objects to folders: a launch's own, as a deploy
// applies them, and a kustomization or a chart for a GitOps tool.
//
// It promises that a folder of somebody else's is left alone, and that one of its
// own has no file of an object that is gone. It knows no cluster.
package manifests
