// Package settings is the operator's configuration of a launch, config.yaml.
//
// It has the table of every key with its check, the file with the operator's own
// comments, and the note by which this machine knows a configuration that its
// operator set or took.
//
// It promises that a value which is set is one that its key allows, in its normal
// form, that a value which did not come from this machine's operator is never
// used, and that an error names the key, or the line, that it is about.
// It knows no verb and no cluster: it reads the kubeconfig for what that chooses by
// itself, and of the objects on a cluster it knows only the settings of render.
package settings
