package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

// Error codes of the distribution specification.
const (
	codeUnauthorized    = "UNAUTHORIZED"
	codeDenied          = "DENIED"
	codeUnsupported     = "UNSUPPORTED"
	codeNameUnknown     = "NAME_UNKNOWN"
	codeNameInvalid     = "NAME_INVALID"
	codeTagInvalid      = "TAG_INVALID"
	codeDigestInvalid   = "DIGEST_INVALID"
	codeSizeInvalid     = "SIZE_INVALID"
	codeManifestInvalid = "MANIFEST_INVALID"
	codeManifestUnknown = "MANIFEST_UNKNOWN"
	codeManifestBlob    = "MANIFEST_BLOB_UNKNOWN"
	codeBlobUnknown     = "BLOB_UNKNOWN"
	codeUploadUnknown   = "BLOB_UPLOAD_UNKNOWN"
	codeUploadInvalid   = "BLOB_UPLOAD_INVALID"
	codeRangeInvalid    = "RANGE_INVALID"
	codePagination      = "PAGINATION_NUMBER_INVALID"
	codeTooManyRequests = "TOOMANYREQUESTS"
	codeUnavailable     = "UNAVAILABLE"
	codeUnknown         = "UNKNOWN"
)

// statusClientClosed is what the access log shows of a request whose client
// went away, as nginx writes it.
const statusClientClosed = 499

// ociError is an answer in the distribution specification's words.
type ociError struct {
	status  int
	code    string
	message string
	detail  any
	also    []*ociError // what else is wrong, which the answer says too
}

func (e *ociError) Error() string { return e.code + ": " + e.message }

// with returns e with a detail for machines.
func (e *ociError) with(detail any) *ociError {
	detailed := *e
	detailed.detail = detail
	return &detailed
}

func ociErrorf(status int, code, format string, args ...any) *ociError {
	return &ociError{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

var errUnknownPath = ociErrorf(http.StatusNotFound, codeNameUnknown, "no such path under /v2: see the OCI distribution specification for the ones there are")

// toOCI maps a domain error's Kind to an answer. Any other error is a 500
// whose cause only the log shows.
func toOCI(err error) *ociError {
	var oci *ociError
	if errors.As(err, &oci) {
		return oci
	}
	var e *constellation.Error
	if !errors.As(err, &e) {
		return ociErrorf(http.StatusInternalServerError, codeUnknown, "the registry failed; the server's log says why")
	}
	oci = &ociError{message: e.Message}
	if len(e.Fields) > 0 {
		oci.message, oci.detail = joinFields(e), fieldNames(e)
	}
	oci.status, oci.code = statusOf(e.Kind)
	if e.Kind == constellation.KindInternal {
		oci.message = "the registry failed; the server's log says why"
	}
	return oci
}

func statusOf(kind constellation.Kind) (status int, code string) {
	switch kind {
	case constellation.KindMalformed, constellation.KindInvalid:
		// Not MANIFEST_INVALID, at which skopeo tries other formats and then
		// tells of each.
		return http.StatusBadRequest, codeDenied
	case constellation.KindUnauthenticated:
		return http.StatusUnauthorized, codeUnauthorized
	case constellation.KindForbidden:
		return http.StatusForbidden, codeDenied
	case constellation.KindNotFound:
		return http.StatusNotFound, codeNameUnknown
	case constellation.KindConflict:
		return http.StatusConflict, codeDenied
	case constellation.KindPreconditionFailed:
		return http.StatusPreconditionFailed, codeDenied
	case constellation.KindTooLarge:
		return http.StatusRequestEntityTooLarge, codeSizeInvalid
	case constellation.KindUnsupportedMedia:
		return http.StatusUnsupportedMediaType, codeManifestInvalid
	case constellation.KindRateLimited:
		return http.StatusTooManyRequests, codeTooManyRequests
	case constellation.KindUnavailable:
		return http.StatusServiceUnavailable, codeUnavailable
	}
	return http.StatusInternalServerError, codeUnknown
}

// fieldNames are the fields that are wrong, for machines. Their messages are
// in the error's own already, and crane prints both.
func fieldNames(e *constellation.Error) any {
	type field struct {
		Field string `json:"field"`
	}
	names := make([]field, len(e.Fields))
	for i, f := range e.Fields {
		names[i].Field = f.Field
	}
	return names
}

// joinFields puts every field's message into one text, since docker and crane
// print a message and no detail.
func joinFields(e *constellation.Error) string {
	text := ""
	for i, f := range e.Fields {
		if i > 0 {
			text += "; "
		}
		text += f.Message
	}
	return text
}

// writeError answers with err and logs what a client must not see.
func (g *Registry) writeError(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil { // nobody waits for the answer, and what failed did so for that
		w.WriteHeader(statusClientClosed)
		return
	}
	e := toOCI(err)
	if e.status >= http.StatusInternalServerError {
		g.log.ErrorContext(r.Context(), "registry request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	h := w.Header()
	if e.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="constellation"`)
	}
	httpserve.TellRetry(h, e.status, err)
	h.Set("Content-Type", "application/json")
	h.Del("Content-Length")
	w.WriteHeader(e.status)
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  any    `json:"detail,omitempty"`
	}
	entries := []entry{{e.code, e.message, e.detail}}
	for _, one := range e.also {
		entries = append(entries, entry{one.code, one.message, one.detail})
	}
	_ = json.NewEncoder(w).Encode(map[string][]entry{"errors": entries}) // nobody left to tell
}
