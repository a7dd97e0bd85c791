// Package kubeconfig reads kubeconfigs as kubectl does, lists of files among them,
// and says what is wrong with one before a request fails for it.
//
// It promises that nothing is connected to and that no credential plugin runs.
// It knows nothing of launches or settings.
package kubeconfig
