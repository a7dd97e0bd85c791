package transport

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/retry"
)

// What the API server decided is an answer: a result, or a refusal with its
// status below 500. All else is none, and may be one at the next attempt: a
// connection that cannot be made or breaks, a body that is cut, a proxy's page
// in place of the server's, and a server that says that it could not decide,
// since it has too much to do, its etcd has no leader or an admission webhook
// did not answer. This file alone knows the one from the other.

// ErrUnreachable is wrapped by the error of every request that the API server
// does not answer: such an error is no refusal.
var ErrUnreachable = errors.New("the cluster does not answer")

// NoAnswer is what came in place of an answer, an ErrUnreachable.
type NoAnswer struct {
	what      string
	cause     error         // nil when it was a response
	after     time.Duration // what the server asks to wait; 0 when it does not say
	permanent bool          // it will be the same at each attempt
}

// Error says what came.
func (n *NoAnswer) Error() string { return ErrUnreachable.Error() + ": " + n.what }

// Is makes it an ErrUnreachable.
func (n *NoAnswer) Is(target error) bool { return target == ErrUnreachable } //nolint:errorlint // the very value

// Unwrap returns the connection's error.
func (n *NoAnswer) Unwrap() error { return n.cause }

var errSilence = fmt.Errorf("no answer in %s", requestTimeout)

// noAnswerOf is a request's error. A wrong certificate or name stays wrong.
func noAnswerOf(err error) *NoAnswer {
	n := &NoAnswer{what: wrongClock(err).Error(), cause: err}
	n.permanent = retry.PermanentConnection(err)
	return n
}

// wrongClock says of a certificate that is not valid now that it may be this
// machine's clock; any other error stays.
func wrongClock(err error) error {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		return err
	}
	return fmt.Errorf("its certificate is not valid now, which this machine's clock says is %s; set the clock if that is wrong", time.Now().UTC().Format("2006-01-02 15:04 UTC"))
}

// answer returns the response if it is the server's answer.
func answer(response *http.Response) (*http.Response, *NoAnswer) {
	switch code := response.StatusCode; {
	case retry.TransientStatus(code):
		return nil, notNow(response)
	case code < 300 && strings.HasPrefix(response.Header.Get("Content-Type"), "text/html"):
		_ = response.Body.Close()
		return nil, &NoAnswer{what: "a web page came in place of the API server's answer; is a proxy in between?"}
	}
	return response, nil
}

// notNow reads what a server says that could not decide.
func notNow(response *http.Response) *NoAnswer {
	defer response.Body.Close() //nolint:errcheck // read only
	n := &NoAnswer{what: response.Status}
	n.after = retry.HeaderDelay(response.Header, retryAfterLimit)
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	var status metav1.Status
	if err == nil && json.Unmarshal(data, &status) == nil && status.Message != "" {
		n.what += ": " + status.Message
	}
	return n
}

// streams reports whether an answer is read as it comes, as logs and watches
// are, whose readers know how to go on after a break.
func streams(request *http.Request, response *http.Response) bool {
	return (isWatch(request) || strings.HasSuffix(request.URL.Path, "/log")) && response.StatusCode < 300
}

func isWatch(request *http.Request) bool {
	watch, err := strconv.ParseBool(request.URL.Query().Get("watch"))
	return err == nil && watch
}

// readWhole reads a response to its end and calls progress on the way. One
// whose connection has no end mark of its own may be cut without an error:
// then the document is not whole.
func readWhole(response *http.Response, progress func()) error {
	data, err := io.ReadAll(&watchedReader{response.Body, progress})
	_ = response.Body.Close()
	if err != nil {
		return fmt.Errorf("the answer broke off after %d bytes: %w", len(data), err)
	}
	if response.StatusCode < 300 && strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") && !json.Valid(data) {
		return fmt.Errorf("the answer broke off after %d bytes", len(data))
	}
	response.Body = io.NopCloser(bytes.NewReader(data))
	return nil
}

// watchedReader calls progress at each read that brought something.
type watchedReader struct {
	io.Reader
	progress func()
}

// Read reads on.
func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.progress()
	}
	return n, err
}

type cancelingBody struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// Close ends the request.
func (b *cancelingBody) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close()
}
