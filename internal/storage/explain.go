package storage

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/minio/minio-go/v7"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// cause returns what a driver's error comes from; distribution's own wrapper
// does not unwrap.
func cause(err error) error {
	var wrapped driver.Error
	for errors.As(err, &wrapped) && wrapped.Detail != nil {
		err = wrapped.Detail
	}
	return err
}

// Full reports whether err comes from a disk, a quota or a store without room.
func Full(err error) bool {
	err = cause(err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return true
	}
	var response minio.ErrorResponse
	return errors.As(err, &response) && (response.Code == "QuotaExceeded" || response.Code == "XMinioStorageFull" ||
		response.Code == "XMinioAdminBucketQuotaExceeded" || response.StatusCode == http.StatusInsufficientStorage)
}

// Explain returns an error of a store as one sentence that says what is wrong
// and what to do. Its message is for whoever runs the server; done says what the
// store was asked for, such as "read from".
func Explain(l Location, done string, err error) error {
	if err == nil || constellation.KindOf(err) != constellation.KindInternal {
		return err
	}
	return constellation.Wrap(err, constellation.KindUnavailable, "the storage %s cannot be %s: %s", l, done, reason(err))
}

// reason is what is wrong and what to do, in words.
func reason(err error) string {
	err = cause(err)
	var response minio.ErrorResponse
	var path *fs.PathError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case Full(err):
		return "it is full; free some space"
	case errors.Is(err, errNoCredentials):
		return "no credentials were found; " + credentialsHint
	case errors.As(err, &response):
		return answered(response)
	case errors.Is(err, context.DeadlineExceeded):
		return "it does not answer in time; see whether it is overloaded, and the network between"
	case errors.As(err, &path):
		return path.Err.Error()
	case errors.As(err, &unknown):
		return "its certificate is of an authority that this machine does not know; name it with ca_file=…"
	case errors.As(err, &host):
		return "its certificate is for another host"
	case errors.As(err, &dns):
		return "its host " + dns.Name + " is not known; check endpoint and region"
	case errors.As(err, &op):
		return "its host cannot be reached (" + op.Err.Error() + "); check endpoint and region, and the network between"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), strings.Contains(err.Error(), "closed by foreign host"): // minio-go's words for an EOF
		return "the connection broke off"
	}
	return "it failed; the log says how"
}

// answered is a store's own refusal in words.
func answered(r minio.ErrorResponse) string {
	switch r.Code {
	case "NoSuchBucket":
		return "there is no such bucket; make it, or name another"
	case "AccessDenied", "AllAccessDisabled", "Forbidden":
		return "its credentials lack a right; they need to list the bucket and to get, put and delete its objects"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidTokenId", "InvalidToken":
		return "it does not know these credentials; check the access key and its secret"
	case "ExpiredToken", "ExpiredTokenException":
		return "its credentials have expired; renew them"
	case "RequestTimeTooSkewed":
		return "the clocks of this machine and of the store differ too much; set this machine's"
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "InvalidRegion":
		if r.Region != "" {
			return "the bucket is in another region; write region=" + shorten(r.Region)
		}
		return "the bucket is in another region; correct region=…"
	case "NoSuchKey":
		return "it lost what was just written; see whether every server of it has the same data"
	}
	switch {
	case r.StatusCode == http.StatusServiceUnavailable || r.StatusCode == http.StatusTooManyRequests || r.Code == "SlowDown":
		return "it is overloaded or down (" + http.StatusText(r.StatusCode) + "); try again when it answers"
	case r.StatusCode >= http.StatusInternalServerError:
		return "it failed (" + http.StatusText(r.StatusCode) + "); see its own log"
	case r.StatusCode == http.StatusForbidden:
		return "its credentials lack a right; they need to list the bucket and to get, put and delete its objects"
	}
	return "it refused (" + shorten(r.Code) + "); see whether the endpoint speaks S3, and the log"
}
