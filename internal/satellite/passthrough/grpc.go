package passthrough

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// IsGRPC reports whether a request is a gRPC call.
func IsGRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// The status codes of gRPC that an engine has a use for.
const (
	grpcUnknown          = 2
	grpcInvalidArgument  = 3
	grpcDeadlineExceeded = 4
	grpcPermissionDenied = 7
	grpcExhausted        = 8
	grpcUnimplemented    = 12
	grpcInternal         = 13
	grpcUnavailable      = 14
	grpcUnauthenticated  = 16
)

var grpcStatuses = map[int]int{
	http.StatusBadRequest: grpcInvalidArgument, http.StatusUnauthorized: grpcUnauthenticated,
	http.StatusForbidden: grpcPermissionDenied, http.StatusNotFound: grpcUnimplemented,
	http.StatusMethodNotAllowed: grpcUnimplemented, http.StatusRequestEntityTooLarge: grpcExhausted,
	http.StatusTooManyRequests: grpcExhausted, http.StatusInternalServerError: grpcInternal,
	http.StatusBadGateway: grpcUnavailable, http.StatusServiceUnavailable: grpcUnavailable,
	http.StatusGatewayTimeout: grpcDeadlineExceeded,
}

// RefuseGRPC answers a gRPC call that reaches no algorithm, with the status that
// corresponds to an HTTP status.
func RefuseGRPC(w http.ResponseWriter, status int, message string) {
	code, ok := grpcStatuses[status]
	if !ok {
		code = grpcUnknown
	}
	h := w.Header()
	h["Content-Type"] = []string{"application/grpc"}
	h["Grpc-Status"] = []string{strconv.Itoa(code)}
	h["Grpc-Message"] = []string{url.PathEscape(message)}
	w.WriteHeader(http.StatusOK)
}

// Failed reports whether an answer that was passed on says that the call failed:
// by its status, or by gRPC's, in the head or behind the body.
func Failed(res *http.Response) bool {
	failed := func(h http.Header) bool { return h.Get("Grpc-Status") != "" && h.Get("Grpc-Status") != "0" }
	return res.StatusCode >= http.StatusBadRequest || failed(res.Header) || failed(res.Trailer)
}
