package apiv1

// ErrorBody is the JSON of every answer that is not a success.
type ErrorBody struct {
	Error Error `json:"error"`
}

// Error is what went wrong. Code is the platform's number for the sort of
// failure, Reason a word with one meaning; Message is one sentence for the user.
type Error struct {
	ID      string       `json:"id" doc:"Names this failure in the server's log." example:"01JD3Z7Q4W5V6X7Y8Z9A0B1C2D"`
	TraceID string       `json:"trace_id,omitempty" doc:"The trace that the request was part of, where it brought one or the server traces." example:"4bf92f3577b34da6a3ce929d0e0e4736"`
	Code    int          `json:"code" doc:"The sort of failure, as a number: 1000 not found, 1002 name taken, 2001 no key, 2002 bad key, 2013 malformed JSON, 2015 invalid request, 5001 internal, 5002 bad marker, 5003 bad limit, 6001 validation." example:"6001"`
	Reason  Reason       `json:"reason" enum:"bad_key,bad_limit,bad_marker,conflict,forbidden,internal,invalid_request,malformed_json,method_not_allowed,name_taken,no_key,not_found,precondition_failed,precondition_required,rate_limited,too_large,unavailable,unsupported_media,user_not_found,username_taken,validation" doc:"The sort of failure, as a word with one meaning; a later version may know more." example:"validation"`
	Message string       `json:"message" doc:"One sentence: what is wrong, where, and what to do." example:"a vanity URL has two segments or more, such as foo/bar; not \"foo\""`
	Fields  []FieldError `json:"fields,omitempty" doc:"Which fields of the input are wrong." nullable:"false"`
}

// FieldError is what is wrong with one field of the input.
type FieldError struct {
	Field   string `json:"field" doc:"Path of the field in the input." example:"algorithms[1].vanity_url"`
	Message string `json:"message" doc:"What is wrong with it, and what to do." example:"a vanity URL has two segments or more, such as foo/bar; not \"foo\""`
}

// The codes of Error.Code that a program may want to tell apart: the original
// platform's numbers.
const (
	CodeNotFound        = 1000
	CodeNameTaken       = 1002
	CodeUnauthorized    = 2001
	CodeBadKey          = 2002
	CodeMalformedJSON   = 2013
	CodeInvalidRequest  = 2015
	CodeUserNotFound    = 3000
	CodeUsernameTaken   = 3003
	CodeInternal        = 5001
	CodeBadMarker       = 5002
	CodeBadLimit        = 5003
	CodeValidationError = 6001
)
