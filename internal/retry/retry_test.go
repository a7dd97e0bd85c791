package retry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoffDoublesToItsMost(t *testing.T) {
	b := Backoff{First: 500 * time.Millisecond, Most: 15 * time.Second, Jitter: 0.5}
	for attempt, most := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 15 * time.Second, 15 * time.Second} {
		for range 100 {
			if got := b.Delay(attempt); got < most/2-time.Millisecond || got > most+time.Millisecond {
				t.Fatalf("Delay(%d) = %v, want %v to %v", attempt, got, most/2, most)
			}
		}
	}
	if got := b.Delay(1 << 30); got > 15*time.Second+time.Millisecond {
		t.Errorf("Delay(2³⁰) = %v, want at most 15 s", got)
	}
	if got := (Backoff{First: 100 * time.Millisecond, Most: 3 * time.Second}).Delay(2); got != 400*time.Millisecond {
		t.Errorf("Delay(2) without jitter = %v, want 400 ms", got)
	}
}

// run tries errs one after the other and returns what each attempt came at.
func run(t *testing.T, p Policy, errs ...error) (at []time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		err = Do(t.Context(), p, func() error {
			at = append(at, time.Since(begun))
			return errs[min(len(at), len(errs))-1]
		})
	})
	return at, err
}

func TestDo(t *testing.T) {
	seconds := func(attempt int) time.Duration { return time.Duration(attempt+1) * time.Second }
	broken, gone := errors.New("broken"), errors.New("gone")
	for _, test := range []struct {
		name   string
		policy Policy
		errs   []error
		at     []time.Duration
		err    error
	}{
		{"at once", Policy{Attempts: 3}, []error{nil}, []time.Duration{0}, nil},
		{"at the third attempt", Policy{Attempts: 3, Delay: seconds}, []error{broken, broken, nil}, []time.Duration{0, time.Second, 3 * time.Second}, nil},
		{"never", Policy{Attempts: 3, Delay: seconds}, []error{broken, broken, gone}, []time.Duration{0, time.Second, 3 * time.Second}, gone},
		{"permanent", Policy{Attempts: 3, Delay: seconds}, []error{broken, Permanent(gone)}, []time.Duration{0, time.Second}, gone},
		{"permanent at the last attempt", Policy{Attempts: 2, Delay: seconds}, []error{broken, Permanent(gone)}, []time.Duration{0, time.Second}, gone},
		{"the server asks for longer", Policy{Attempts: 3, Delay: seconds}, []error{After(broken, 9*time.Second), nil}, []time.Duration{0, 9 * time.Second}, nil},
		{"the server asks for less", Policy{Attempts: 3, Delay: seconds}, []error{After(broken, 0), nil}, []time.Duration{0, time.Second}, nil},
		{"progress", Policy{Attempts: 2, Delay: seconds}, []error{broken, Progressed(broken), Progressed(broken), gone}, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second}, gone},
		{"the budget", Policy{Budget: 4 * time.Second, Delay: seconds}, []error{broken}, []time.Duration{0, time.Second, 3 * time.Second}, broken},
	} {
		t.Run(test.name, func(t *testing.T) {
			at, err := run(t, test.policy, test.errs...)
			if fmt.Sprint(at) != fmt.Sprint(test.at) || err != test.err { //nolint:errorlint // the very value
				t.Errorf("Do = %v with attempts at %v, want %v at %v", err, at, test.err, test.at)
			}
		})
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(io.ErrUnexpectedEOF) })
		begun := time.Now()
		err := Do(ctx, Policy{Delay: func(int) time.Duration { return time.Hour }}, func() error { return io.EOF })
		if took := time.Since(begun); !errors.Is(err, context.Canceled) || took != time.Second {
			t.Errorf("Do = %v after %v, want the context's error after 1 s", err, took)
		}
		if err := Do(ctx, Policy{}, func() error { return Permanent(io.EOF) }); !errors.Is(err, context.Canceled) {
			t.Errorf("Do in an ended context = %v, want its error", err)
		}
	})
}

func TestDoNotifiesBeforeEachWait(t *testing.T) {
	var said []string
	p := Policy{Attempts: 3, Delay: func(attempt int) time.Duration { return time.Duration(attempt) * time.Second }, Notify: func(n Notice) {
		said = append(said, fmt.Sprintf("%v, again in %v (%d)", n.Err, n.Delay, n.Next))
	}}
	_, _ = run(t, p, After(io.EOF, 5*time.Second), io.EOF, Progressed(io.EOF), io.EOF, io.EOF)
	want := []string{"EOF, again in 5s (2)", "EOF, again in 1s (3)", "EOF, again in 0s (2)", "EOF, again in 1s (3)"}
	if fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("notified %q, want %q", said, want)
	}
}

func TestTransientStatus(t *testing.T) {
	for code, want := range map[int]bool{200: false, 400: false, 401: false, 404: false, 408: false, 409: false, 429: true, 500: true, 501: false, 502: true, 503: true, 504: true} {
		if got := TransientStatus(code); got != want {
			t.Errorf("TransientStatus(%d) = %v, want %v", code, got, want)
		}
	}
}

func TestPermanentConnection(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{io.ErrUnexpectedEOF, false},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, false},
		{&net.DNSError{IsTimeout: true}, false},
		{fmt.Errorf("ask: %w", &net.DNSError{IsNotFound: true}), true},
		{x509.UnknownAuthorityError{}, true},
		{&tls.CertificateVerificationError{Err: x509.HostnameError{}}, true},
	} {
		if got := PermanentConnection(test.err); got != test.want {
			t.Errorf("PermanentConnection(%v) = %v, want %v", test.err, got, test.want)
		}
	}
}

func TestHeaderDelay(t *testing.T) {
	const date = "Sat, 28 Nov 2026 21:00:00 GMT"
	for _, test := range []struct {
		after, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"7", "", 7 * time.Second},
		{"-7", "", 0},
		{"999999999999", "", 2 * time.Minute},
		{"Sat, 28 Nov 2026 21:00:30 GMT", date, 30 * time.Second},
		{"Sat, 28 Nov 2026 20:00:00 GMT", date, 0},
		{"Sat, 28 Nov 2026 23:00:00 GMT", date, 2 * time.Minute},
		{"Sat, 28 Nov 2026 21:00:30 GMT", "", 0},
		{"soon", date, 0},
		{"86400", "", 2 * time.Minute},
		{"Thu, 01 Jan 1970 00:00:09 GMT", "Thu, 01 Jan 1970 00:00:04 GMT", 5 * time.Second},
		{"Thu, 01 Jan 1970 00:00:01 GMT", "Thu, 01 Jan 1970 00:00:04 GMT", 0},
	} {
		header := http.Header{"Retry-After": {test.after}, "Date": {test.date}}
		if got := HeaderDelay(header, 2*time.Minute); got != test.want {
			t.Errorf("HeaderDelay(%q at %q) = %v, want %v", test.after, test.date, got, test.want)
		}
	}
}
