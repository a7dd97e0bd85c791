// Package jsonscan finds where JSON values end and checks their grammar in one
// pass, without decoding them: results of many megabytes pass through the
// engine as they came.
//
// It accepts what encoding/json accepts, and knows nothing of calls.
package jsonscan
