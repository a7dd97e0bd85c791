// Package egress reads what an algorithm may reach beside its satellite, as
// stage.egress has it, and looks up the addresses of the names in it.
//
// Where clouds keep their metadata is never reached: it is refused when it is
// written, and when a name leads there. The package knows no cluster and no
// policy's form.
package egress
