package node

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// knownWarnings say nothing that anybody could act on: the passwords are derived and nowhere in plain
// text, logs are rebuilt after a crash, and Ready says what a node waits for.
var knownWarnings = []string{"RAFT [", "Filestore [", "Metalayer blocking", "Plaintext passwords", "Healthcheck failed", "Waiting for routing", "JetStream has not established contact"}

// serverLog hands what the server says to the house's log. Its notices are
// details here; its fatal words are kept, since they say why it did not start.
type serverLog struct {
	log   *slog.Logger
	mu    sync.Mutex
	fatal string
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *serverLog) Warnf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	for _, known := range knownWarnings {
		if strings.HasPrefix(text, known) {
			return
		}
	}
	l.log.Warn(text)
}
func (l *serverLog) Debugf(string, ...any) {}
func (l *serverLog) Tracef(string, ...any) {}

func (l *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == "" {
		l.fatal = text
	}
}

func (l *serverLog) died() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}
