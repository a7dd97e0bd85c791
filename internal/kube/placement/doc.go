// Package placement says where a launch's pods run and as what: stage.placement
// of the configuration, as Kubernetes has it.
//
// It promises that what was read is what Kubernetes' own types take, field for
// field, that nothing in it takes away what tells a launch's objects apart or
// what keeps its system pods restricted, and that an error names the key and
// what to write. It can say of a node why it does not take a pod.
//
// It knows no cluster, no plan and no file: who asks has read the nodes.
package placement
