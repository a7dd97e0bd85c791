package auditstream

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/outbound"
)

// Syslog sends records to a syslog server as RFC 5424 has them: by UDP, or by TCP or
// TLS with each message behind its length (RFC 6587).
type Syslog struct {
	network string // udp, tcp or tls
	address string
	host    string // this machine's
}

const (
	syslogPriority = 13*8 + 6 // log audit, informational
	largestPacket  = 8 << 10  // of UDP, which servers take as a whole
)

// NewSyslog makes a stream to udp://, tcp:// or tls://HOST:PORT.
func NewSyslog(target string) (*Syslog, error) {
	u, err := url.Parse(target)
	if err != nil || u.Hostname() == "" || u.Port() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" ||
		u.Scheme != "udp" && u.Scheme != "tcp" && u.Scheme != "tls" {
		return nil, fmt.Errorf("a syslog server is udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT; not %.100q", target)
	}
	host, err := os.Hostname()
	if err != nil || host == "" || strings.ContainsAny(host, " \t\n") {
		host = "-"
	}
	return &Syslog{network: u.Scheme, address: u.Host, host: host}, nil
}

// Send sends each record as a message.
func (s *Syslog) Send(ctx context.Context, records []constellation.AuditRecord) (err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	connection, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("send to %s: %w", s.address, err)
	}
	defer func() {
		if closing := connection.Close(); err == nil && closing != nil {
			err = fmt.Errorf("send to %s: %w", s.address, closing)
		}
	}()
	until, _ := ctx.Deadline()
	if err := connection.SetDeadline(until); err != nil {
		return err
	}
	for i := range records {
		message, err := s.message(&records[i])
		if err != nil {
			return err
		}
		if _, err := connection.Write(message); err != nil {
			return fmt.Errorf("send to %s: %w", s.address, err)
		}
	}
	return nil
}

func (s *Syslog) dial(ctx context.Context) (net.Conn, error) {
	dialer := &outbound.Dialer{Check: notMetadata}
	if s.network == "udp" {
		host, port, err := net.SplitHostPort(s.address)
		if err != nil {
			return nil, err
		}
		addresses, err := dialer.Addresses(ctx, host)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, "udp", net.JoinHostPort(addresses[0].String(), port))
	}
	connection, err := dialer.DialContext(ctx, "tcp", s.address)
	if err != nil || s.network == "tcp" {
		return connection, err
	}
	host, _, _ := net.SplitHostPort(s.address)
	secured := tls.Client(connection, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return secured, nil
}

// message is a record in the server's form. One that no packet holds goes without
// what was before and after.
func (s *Syslog) message(r *constellation.AuditRecord) ([]byte, error) {
	record := recordOf(r)
	for {
		data, err := json.Marshal(record)
		if err != nil {
			return nil, fmt.Errorf("write record %d: %w", r.Seq, err)
		}
		text := fmt.Sprintf("<%d>1 %s %s constellation %d audit - %s", syslogPriority, r.At.UTC().Format(time.RFC3339Nano), s.host, os.Getpid(), data)
		switch {
		case s.network != "udp":
			return []byte(strconv.Itoa(len(text)) + " " + text), nil
		case len(text) <= largestPacket || record.Before == nil && record.After == nil:
			return []byte(text), nil
		}
		record.Before, record.After = nil, nil
	}
}
