// Package mothership is the client by which algo-install speaks to a mothership:
// it asks for a launch's signed plan, and for what the mothership's registry holds.
//
// It promises that the API key goes to the address that the operator gave and
// nowhere else, and that each failure is one sentence, marked by internal/retry
// when another attempt cannot mend it. It does not retry, and knows no folder.
package mothership
