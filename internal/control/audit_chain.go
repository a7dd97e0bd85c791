package control

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// AuditStream sends the audit log elsewhere as it grows.
type AuditStream struct {
	Name string // by which it is remembered how far it has come
	// Send returns nil when all records were taken. They may be sent again after an
	// error, or when the server ended meanwhile.
	Send func(ctx context.Context, records []constellation.AuditRecord) error
}

const (
	auditTick    = time.Second
	auditBatch   = 500 // links that are made at once
	auditSent    = 100 // records that are sent at once
	auditBackoff = time.Minute
	auditTrimmed = 1000 // rows that are removed at once
	auditLock    = "audit chain"
)

// keepAudit links new rows of the audit log, and sends them where they are wanted.
func (s *Service) keepAudit(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() {
		s.everyTick(ctx, "link the audit log", func() (bool, error) {
			n, err := s.LinkAudit(ctx)
			return n == auditBatch, err
		})
	})
	for _, stream := range s.options.AuditStreams {
		started := false
		all.Go(func() {
			s.everyTick(ctx, "send the audit log by "+stream.Name, func() (bool, error) {
				if !started {
					if err := s.db.StartAuditStream(ctx, stream.Name); err != nil {
						return false, err
					}
					started = true
				}
				return s.sendAudit(ctx, stream)
			})
		})
	}
	all.Wait()
}

// everyTick does something until ctx ends: at once again when there is more, and
// later and later while it fails. The first of some failures is logged.
func (s *Service) everyTick(ctx context.Context, what string, do func() (more bool, err error)) {
	wait, failing := auditTick, false
	for timer := time.NewTimer(0); ; timer.Reset(wait) {
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		more, err := do()
		switch {
		case err != nil && ctx.Err() == nil:
			if !failing {
				s.options.Log.Warn(what, "error", err)
			}
			failing, wait = true, min(2*max(wait, auditTick), auditBackoff)
		case more:
			failing, wait = false, 0
		default:
			if failing {
				s.options.Log.Info(what + ": it works again")
			}
			failing, wait = false, auditTick
		}
	}
}

// LinkAudit gives rows of the audit log that have none their link, and returns how
// many. Of several servers one does at a time.
func (s *Service) LinkAudit(ctx context.Context) (n int, err error) {
	if pending, err := s.db.HasPendingEvents(ctx); err != nil || !pending {
		return 0, err
	}
	err = s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, auditLock); err != nil {
			return err
		}
		events, err := s.db.PendingEvents(ctx, auditBatch)
		if n = len(events); err != nil || n == 0 {
			return err
		}
		last, err := s.db.AuditHead(ctx)
		if err != nil {
			return err
		}
		links := make([]constellation.AuditLink, n)
		for i := range events {
			last = last.Next(&events[i])
			links[i] = last
		}
		return s.db.AppendLinks(ctx, links, events)
	})
	return n, err
}

// sendAudit sends what a stream has not sent yet, and reports whether there is more.
func (s *Service) sendAudit(ctx context.Context, stream AuditStream) (more bool, err error) {
	err = s.transact(ctx, func(s *Service) error {
		seq, ours, err := s.db.LockAuditStream(ctx, stream.Name)
		if err != nil || !ours {
			return err
		}
		records, err := s.db.AuditRecords(ctx, seq, auditSent)
		if err != nil || len(records) == 0 {
			return err
		}
		if err := stream.Send(ctx, records); err != nil {
			return err
		}
		more = len(records) == auditSent
		return s.db.AdvanceAuditStream(ctx, stream.Name, records[len(records)-1].Seq)
	})
	return more, err
}

// trimAudit removes rows of the audit log that are older than the retention.
func (s *Service) trimAudit(ctx context.Context) error {
	if s.options.AuditRetention <= 0 {
		return nil
	}
	names := make([]string, len(s.options.AuditStreams))
	for i, stream := range s.options.AuditStreams {
		names[i] = stream.Name
	}
	for {
		var n int64
		err := s.transact(ctx, func(s *Service) (err error) {
			if err = s.db.Lock(ctx, auditLock); err == nil {
				n, err = s.db.TrimAudit(ctx, s.now().Add(-s.options.AuditRetention), names, auditTrimmed)
			}
			return err
		})
		if err != nil || n < auditTrimmed {
			return err
		}
	}
}

// AuditState is how far the audit log is linked and sent.
type AuditState struct {
	Pending int64            // rows without a link
	Behind  map[string]int64 // rows that a stream has yet to send
}

// AuditState returns how far the audit log is linked and sent, for metrics.
func (s *Service) AuditState(ctx context.Context) (state AuditState, err error) {
	if state.Pending, err = s.db.CountPendingEvents(ctx); err == nil {
		state.Behind, err = s.db.AuditBehind(ctx)
	}
	return state, err
}

// AuditReport is what VerifyAudit found.
type AuditReport struct {
	Rows    int64 // that were read and are linked
	Pending int64 // that have no link yet
	Head    constellation.AuditLink
	Start   constellation.AuditLink // before the oldest row; 0 unless retention took some
	Until   time.Time               // those before it were taken by retention

	// Problems are the first of what is wrong, as sentences; More is how many others.
	Problems []string
	More     int
}

const maxAuditProblems = 20

func (r *AuditReport) add(format string, args ...any) {
	if len(r.Problems) == maxAuditProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// VerifyAudit computes the chain of the audit log anew. Links that were noted
// earlier, elsewhere, have to be in it: by them it shows when somebody who may write
// to the database computed all of it anew too.
func (s *Service) VerifyAudit(ctx context.Context, noted []constellation.AuditLink) (*AuditReport, error) {
	report := &AuditReport{}
	var err error
	if report.Start, report.Until, err = s.db.AuditStart(ctx); err != nil {
		return nil, err
	}
	expected := map[int64]string{}
	for _, link := range noted {
		switch {
		case link.Seq < report.Start.Seq:
			report.add("row %d, whose link was noted, was removed by retention, so its link cannot be looked at", link.Seq)
		default:
			expected[link.Seq] = link.String()
		}
	}
	last := report.Start
	if want, ok := expected[last.Seq]; ok && last.String() != want {
		report.add("the link before the oldest row is %s, and %s was noted", last, want)
	}
	delete(expected, last.Seq)
	for {
		records, err := s.db.AuditRecords(ctx, last.Seq, auditBatch)
		if err != nil {
			return nil, err
		}
		for i := range records {
			report.check(last, &records[i], expected)
			last = records[i].Link()
		}
		if len(records) == 0 {
			break
		}
	}
	report.Head = last
	for seq := range expected {
		report.add("row %d, whose link was noted, is not there: the log ends at %d", seq, last.Seq)
	}
	var unknown int64
	if report.Pending, unknown, err = s.db.AuditPending(ctx); err != nil {
		return nil, err
	}
	if unknown > 0 {
		report.add("%d rows were put into the log past its chain", unknown)
	}
	return report, nil
}

// check looks at a row and its link.
func (r *AuditReport) check(last constellation.AuditLink, record *constellation.AuditRecord, noted map[int64]string) {
	r.Rows++
	if record.Seq != last.Seq+1 {
		r.add("rows %d to %d are gone", last.Seq+1, record.Seq-1)
		last.Seq = record.Seq - 1
	} else if want := last.Next(&record.Event); record.ID == 0 {
		r.add("row %d is gone", record.Seq)
	} else if want.String() != record.Link().String() {
		r.add("row %d (%s %s %s by %s) or its link was changed", record.Seq, record.At.Format(time.RFC3339), record.Action, record.TargetName, record.Actor)
	}
	if want, ok := noted[record.Seq]; ok && record.Link().String() != want {
		r.add("the link of row %d is %s, and %s was noted", record.Seq, record.Link(), want)
	}
	delete(noted, record.Seq)
}
