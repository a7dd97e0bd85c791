package registry

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/sirupsen/logrus"
)

// bridge is the one hook on logrus's standard logger: distribution logs there
// and takes no logger from us.
var bridge struct {
	installed atomic.Bool
	log       atomic.Pointer[slog.Logger]
}

// bridgeLogs sends distribution's log to log; the last caller with a log wins.
func bridgeLogs(log *slog.Logger) {
	if log != nil {
		bridge.log.Store(log)
	} else {
		bridge.log.CompareAndSwap(nil, slog.New(slog.DiscardHandler))
	}
	if bridge.installed.CompareAndSwap(false, true) {
		logrus.SetOutput(io.Discard)
		logrus.AddHook(logHook{})
	}
}

type logHook struct{}

// Levels implements logrus.Hook: Info and below say only what is about to be
// done.
func (logHook) Levels() []logrus.Level {
	return []logrus.Level{logrus.PanicLevel, logrus.FatalLevel, logrus.ErrorLevel, logrus.WarnLevel}
}

// Fire implements logrus.Hook.
func (logHook) Fire(entry *logrus.Entry) error {
	attrs := []slog.Attr{slog.String("source", "distribution")}
	for key, value := range entry.Data {
		if key != "go.version" {
			attrs = append(attrs, slog.Any(key, value))
		}
	}
	bridge.log.Load().LogAttrs(context.Background(), slog.LevelWarn, entry.Message, attrs...) // logrus has no context for us
	return nil
}
