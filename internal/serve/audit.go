package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/auditstream"
	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/control"
)

// auditConfig is how long the audit log is kept, and where it goes beside.
type auditConfig struct {
	days          int
	webhook       string
	webhookSecret string // a file
	syslog        string

	streams []control.AuditStream
}

func (a *auditConfig) addFlags(flags *pflag.FlagSet) {
	setting(flags.IntVar, &a.days, "audit-retention-days", 0, "remove rows of the audit log that are older; 0 keeps all")
	setting(flags.StringVar, &a.webhook, "audit-webhook", "", "post the audit log to this URL as it grows; needs --audit-webhook-secret-file")
	setting(flags.StringVar, &a.webhookSecret, "audit-webhook-secret-file", "", "sign these posts with the secret in this file, whsec_…, as Standard Webhooks say")
	setting(flags.StringVar, &a.syslog, "audit-syslog", "", "send the audit log to this syslog server, udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT")
}

// check makes the streams that are wanted.
func (a *auditConfig) check() error {
	if a.days < 0 || a.days > 36500 {
		return command.UsageError{Err: fmt.Errorf("--audit-retention-days is a number of days, or 0; not %d", a.days)}
	}
	if (a.webhook == "") != (a.webhookSecret == "") {
		return command.UsageError{Err: errors.New("--audit-webhook and --audit-webhook-secret-file go together; give both or none")}
	}
	a.streams = nil
	if a.webhook != "" {
		secret, err := os.ReadFile(a.webhookSecret)
		if err != nil {
			return command.UsageError{Err: fmt.Errorf("--audit-webhook-secret-file: %w", err)}
		}
		hook, err := auditstream.NewWebhook(a.webhook, string(secret))
		if err != nil {
			return command.UsageError{Err: fmt.Errorf("--audit-webhook: %w", err)}
		}
		a.streams = append(a.streams, control.AuditStream{Name: "webhook", Send: hook.Send})
	}
	if a.syslog != "" {
		syslog, err := auditstream.NewSyslog(a.syslog)
		if err != nil {
			return command.UsageError{Err: fmt.Errorf("--audit-syslog: %w", err)}
		}
		a.streams = append(a.streams, control.AuditStream{Name: "syslog", Send: syslog.Send})
	}
	return nil
}

func (a *auditConfig) retention() time.Duration { return time.Duration(a.days) * 24 * time.Hour }

// auditState collects how far the audit log is linked and sent.
type auditState struct{ control *control.Service }

var (
	auditPending = prometheus.NewDesc("constellation_audit_pending_rows", "Rows of the audit log that have no link in its chain yet.", nil, nil)
	auditBehind  = prometheus.NewDesc("constellation_audit_stream_behind_rows", "Rows of the audit log that a stream has yet to send.", []string{"stream"}, nil)
)

// Describe is part of prometheus.Collector.
func (auditState) Describe(ch chan<- *prometheus.Desc) { ch <- auditPending; ch <- auditBehind }

// Collect is part of prometheus.Collector, whose calls have no context.
func (a auditState) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	state, err := a.control.AuditState(ctx)
	if err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(auditPending, prometheus.GaugeValue, float64(state.Pending))
	for stream, behind := range state.Behind {
		ch <- prometheus.MustNewConstMetric(auditBehind, prometheus.GaugeValue, float64(behind), stream)
	}
}
