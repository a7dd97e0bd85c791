package engine

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// watchedFile is a file that is taken again when its bytes change. A mounted
// ConfigMap changes by a swapped symlink; reading the path covers that too.
type watchedFile struct {
	path, name string
	take       func([]byte) error
	seen       os.FileInfo
	content    []byte // as last taken
	problem    string // why it was last refused or not read
}

func newWatchedFile(dir, name string, take func([]byte) error) watchedFile {
	return watchedFile{path: filepath.Join(dir, name), name: name, take: take}
}

// reload takes the file if it changed; the error is nil when there is nothing
// new to say.
func (e *Engine) reload(f *watchedFile) error {
	info, err := os.Stat(f.path)
	if err == nil && f.seen != nil && os.SameFile(info, f.seen) &&
		info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size() {
		return nil
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(f.path)
	}
	if err != nil {
		f.seen = nil
		return e.refuse(f, fmt.Errorf("read %s: %w", f.name, err))
	}
	f.seen = info
	if f.content != nil && f.problem == "" && bytes.Equal(content, f.content) {
		return nil
	}
	if err := f.take(content); err != nil {
		return e.refuse(f, err)
	}
	f.content, f.problem = content, ""
	e.metrics.reloaded(f.name, true)
	e.log.Info("configuration taken", "file", f.name, "sha256", config.Digest(content))
	return nil
}

// refuse notes that a file is not taken, once for each reason.
func (e *Engine) refuse(f *watchedFile, err error) error {
	if f.problem == err.Error() {
		return nil
	}
	f.problem = err.Error()
	e.metrics.reloaded(f.name, false)
	return err
}

// watchFiles looks at the files, closes idle connections, flushes the access
// log and warns of the satellite's expiry, until ctx ends.
func (e *Engine) watchFiles(ctx context.Context) {
	reload := time.NewTicker(e.opts.ReloadEvery)
	defer reload.Stop()
	tidy := time.NewTicker(idleFor / 2)
	defer tidy.Stop()
	for {
		e.warnExpiry()
		e.answer()
		select {
		case <-ctx.Done():
			return
		case <-tidy.C:
			e.closeIdle(time.Now().Add(-idleFor))
			e.access.flush()
		case <-reload.C:
			e.readAsked() // before the files: they are as new as the question, or newer
			for _, f := range []*watchedFile{&e.keysFile, &e.routes} {
				if err := e.reload(f); err != nil {
					e.log.Error("the new configuration is refused; the old one stays in use", "file", f.name, "error", err)
				}
			}
		}
	}
}

// readAsked looks for the installer's question. Outside a cluster there is
// none.
func (e *Engine) readAsked() {
	content, err := os.ReadFile(filepath.Join(e.opts.Dir, config.AskedFile))
	if err == nil {
		e.asked = strings.TrimSpace(string(content))
	}
}

// answer logs once for each question what configuration is in use: the
// installer reads it there, since nothing else reaches it from every cluster.
func (e *Engine) answer() {
	if e.asked == e.answered {
		return
	}
	e.answered = e.asked
	args := []any{"asked", e.asked, "routes", config.Digest(e.routes.content), "keys", config.Digest(e.keysFile.content)}
	if problem := cmp.Or(e.routes.problem, e.keysFile.problem); problem != "" {
		args = append(args, "refused", problem)
	}
	e.log.Info(config.InUseMessage, args...)
}

func (e *Engine) takeKeys(content []byte) error {
	keys, err := config.ParseKeys(content)
	if err != nil {
		return err
	}
	e.holder.takeFile(keys, e.now())
	return nil
}

// takeRoutes publishes a new table. An algorithm that stays keeps its pool,
// with the calls in flight and in its queue.
func (e *Engine) takeRoutes(content []byte) error {
	routes, err := config.ParseRoutes(content)
	if err != nil {
		return err
	}
	service := firstService(routes)
	if service != "" && e.watcher == nil {
		return noCluster(service)
	}
	e.applying.Lock()
	defer e.applying.Unlock()
	next := &table{satellite: routes.Satellite, launch: routes.Launch.ID, mothership: routes.Mothership, lookedUp: service != ""}
	next.warning = newExpiryWarning(routes.Satellite.ExpiresAt)
	old := map[string]*route{}
	if t := e.table.Load(); t != nil {
		for _, r := range t.routes {
			old[r.VanityURL] = r
		}
	}
	for _, a := range routes.Algorithms {
		r, why := newRoute(a), &reason{}
		r.why = func() string { return e.because(a, why) }
		before := old[a.VanityURL]
		if before != nil {
			r.metrics = before.metrics
		} else {
			r.metrics = e.metrics.route(a.VanityURL)
		}
		if before != nil && before.Protocol == r.Protocol {
			delete(old, a.VanityURL)
			r.pool = before.pool
			r.pool.configure(r.Concurrency, r.Queue.Limit)
		} else {
			r.pool = e.newPool(r)
		}
		var hosts []string
		if e.watcher != nil {
			hosts = e.watcher.hosts(r.Service)
		}
		r.pool.setReplicas(r.addresses(hosts))
		next.routes = append(next.routes, r)
	}
	next.index()
	e.table.Store(next)
	e.peers.assign()
	for vanity, r := range old {
		r.pool.close()
		if next.vanity[vanity] == nil {
			e.metrics.forget(vanity)
		}
	}
	return nil
}

// firstService names a service that has to be looked up in a cluster, or "".
func firstService(routes *config.Routes) string {
	for _, r := range routes.Algorithms {
		if len(r.Endpoints) == 0 {
			return r.Service
		}
	}
	return ""
}
