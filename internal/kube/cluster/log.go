package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/retry"
)

// logPauses are the waits between two connections for one log.
var logPauses = retry.Backoff{First: 250 * time.Millisecond, Most: 3 * time.Second}

// EachLogLine calls line with a container's lines, one after the other. When the
// connection breaks, it is made again and goes on behind the last whole line,
// as long as the cluster's retry budget lasts without a new one.
func (c *Cluster) EachLogLine(ctx context.Context, pod string, o *corev1.PodLogOptions, line func(string) error) error {
	var place logPlace
	brought, failed := time.Now(), 0 // when the last new line came, and connections since then
	return retry.Do(ctx, retry.Policy{Delay: logPauses.Delay}, func() error {
		before := place
		stream, err := c.Typed.CoreV1().Pods(c.Namespace).GetLogs(pod, place.options(o)).Stream(ctx)
		if apierrors.IsNotFound(err) && !place.second.IsZero() {
			return nil // the pod went meanwhile, and its log with it
		}
		if err != nil {
			return retry.Permanent(err)
		}
		err = place.read(stream, line)
		_ = stream.Close()
		progressed := place.second != before.second || place.lines != before.lines
		if progressed {
			brought, failed = time.Now(), 0
		}
		var broken *brokenLog
		if !errors.As(err, &broken) || ctx.Err() != nil {
			return retry.Permanent(err)
		}
		if time.Since(brought)+logPauses.Delay(failed) > c.budget {
			return retry.Permanent(fmt.Errorf("read the log of pod %s: %w: %w", pod, ErrUnreachable, broken.error))
		}
		failed++
		if progressed {
			return retry.Progressed(broken)
		}
		return broken
	})
}

// brokenLog is a log's connection that ended before the log did.
type brokenLog struct{ error }

// logPlace is how far a log was read: so many lines of its latest second, the
// smallest time from which a kubelet can be asked to go on.
type logPlace struct {
	second time.Time // zero before the first line
	lines  int       // of that second
	skip   int       // of those that come again
}

// options ask for what follows.
func (p *logPlace) options(o *corev1.PodLogOptions) *corev1.PodLogOptions {
	asked := *o
	asked.Timestamps = true
	if !p.second.IsZero() {
		since := metav1.NewTime(p.second)
		asked.SinceTime, asked.SinceSeconds, asked.TailLines = &since, nil, nil
	}
	p.skip = p.lines
	return &asked
}

func (p *logPlace) read(log io.Reader, line func(string) error) error {
	lines := bufio.NewReader(log)
	for {
		text, err := lines.ReadString('\n')
		if text != "" && (err == nil || errors.Is(err, io.EOF)) { // half a line comes again
			if err := p.take(strings.TrimRight(text, "\r\n"), line); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		default:
			return &brokenLog{err}
		}
	}
}

// take hands on a line that did not come before. A kubelet's own words have no
// time, and are not counted.
func (p *logPlace) take(text string, line func(string) error) error {
	stamp, rest, _ := strings.Cut(text, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return line(text)
	}
	second := at.Truncate(time.Second)
	if !second.Before(p.second) && p.skip > 0 {
		p.skip--
		return nil
	}
	switch {
	case second.After(p.second):
		p.second, p.lines = second, 1
	case second.Equal(p.second):
		p.lines++
	}
	return line(rest)
}
