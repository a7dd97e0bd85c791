package apiv1

// Reason is the sort of a failure as a stable word, one meaning each. Codes are
// the original platform's numbers, and several reasons share one.
type Reason string

// The reasons of Error.Reason.
const (
	ReasonBadKey               Reason = "bad_key"
	ReasonBadLimit             Reason = "bad_limit"
	ReasonBadMarker            Reason = "bad_marker"
	ReasonConflict             Reason = "conflict"
	ReasonForbidden            Reason = "forbidden"
	ReasonInternal             Reason = "internal"
	ReasonInvalidRequest       Reason = "invalid_request"
	ReasonMalformedJSON        Reason = "malformed_json"
	ReasonMethodNotAllowed     Reason = "method_not_allowed"
	ReasonNameTaken            Reason = "name_taken"
	ReasonNoKey                Reason = "no_key"
	ReasonNotFound             Reason = "not_found"
	ReasonPreconditionFailed   Reason = "precondition_failed"
	ReasonPreconditionRequired Reason = "precondition_required"
	ReasonRateLimited          Reason = "rate_limited"
	ReasonTooLarge             Reason = "too_large"
	ReasonUnavailable          Reason = "unavailable"
	ReasonUnsupportedMedia     Reason = "unsupported_media"
	ReasonUserNotFound         Reason = "user_not_found"
	ReasonUsernameTaken        Reason = "username_taken"
	ReasonValidation           Reason = "validation"
)
