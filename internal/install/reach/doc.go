// Package reach finds out who answers: at the address by which callers get to a
// launch, and at the one by which its engines get to their mothership.
//
// It promises that an answer counts as the launch's only with a proof that its
// engines alone can make, and that nothing secret is sent to find out.
// It knows no verb and no folder.
package reach
