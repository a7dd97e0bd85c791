package identity

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Options are what identities are known with.
type Options struct {
	Dir   string                // of routes.json
	Store func() (Store, error) // for an issuer's keys; is called by Apply
	Now   func() time.Time
	Log   *slog.Logger
}

// Identities knows callers without keys. Make it with New, and Run it.
type Identities struct {
	opts      Options
	issuer    atomic.Pointer[issuer]    // nil: no tokens are taken
	authority atomic.Pointer[authority] // nil: no client certificates are
	counts    struct{ verified, refused atomic.Uint64 }

	mu      sync.Mutex
	running context.Context // of Run; nil before
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// New returns identities of which none is taken, until Apply.
func New(o Options) *Identities { return &Identities{opts: o} }

// Apply puts settings in force. What stays the same keeps what it knows.
func (i *Identities) Apply(auth config.Auth) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.applyIssuer(auth.JWT)
	before := i.authority.Load()
	switch {
	case auth.ClientCA == nil:
		i.authority.Store(nil)
	case before == nil || !reflect.DeepEqual(before.settings, *auth.ClientCA):
		next := newAuthority(*auth.ClientCA, i.opts.Dir)
		if _, err := next.load(); err != nil {
			i.opts.Log.Error("client certificates are not taken yet", "error", err)
		}
		i.authority.Store(next)
	}
}

func (i *Identities) applyIssuer(settings *config.JWT) {
	before := i.issuer.Load()
	if before != nil && settings != nil && reflect.DeepEqual(before.settings, *settings) {
		return
	}
	if i.stop != nil {
		i.stop()
		i.stop = nil
	}
	if settings == nil {
		i.issuer.Store(nil)
		return
	}
	next, err := newIssuer(*settings, i.opts)
	if err != nil {
		i.opts.Log.Error("tokens are not taken", "error", err)
		i.issuer.Store(nil)
		return
	}
	if before != nil && before.settings.Issuer == settings.Issuer && before.settings.JWKSURL == settings.JWKSURL && settings.JWKSURL != "" {
		next.take(before.keys.Load())
	}
	i.issuer.Store(next)
	i.start()
}

// take takes over keys that were fetched with other settings. What was verified
// with those does not count.
func (s *issuer) take(keys *keySet) {
	if keys == nil {
		return
	}
	if again, err := parseKeys(keys.raw, keys.fetched); err == nil {
		s.put(again)
	}
}

// start has the issuer's keys kept current; i.mu is held.
func (i *Identities) start() {
	s := i.issuer.Load()
	if i.running == nil || s == nil || i.running.Err() != nil {
		return
	}
	var ctx context.Context
	ctx, i.stop = context.WithCancel(i.running)
	i.done.Go(func() { s.run(ctx) })
}

// Run keeps the issuer's keys and the authorities current until ctx ends.
func (i *Identities) Run(ctx context.Context) {
	i.mu.Lock()
	i.running = ctx
	i.start()
	i.mu.Unlock()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			i.mu.Lock()   // who starts something now sees that ctx has ended
			i.mu.Unlock() //nolint:staticcheck // see above
			i.done.Wait()
			return
		case <-look.C:
			i.look()
		}
	}
}

// look puts the authorities' file in force if it changed.
func (i *Identities) look() {
	i.mu.Lock()
	defer i.mu.Unlock()
	a := i.authority.Load()
	if a == nil {
		return
	}
	switch changed, err := a.load(); {
	case err != nil:
		i.opts.Log.Error("the authorities of client certificates are refused; those that were known go on to count", "error", err)
	case changed:
		i.opts.Log.Info("the authorities of client certificates are in force")
	}
}

// Refresh waits until the issuer's keys were fetched again, or ctx ends. It is
// called after a Refusal whose Wait is set.
func (i *Identities) Refresh(ctx context.Context) {
	if s := i.issuer.Load(); s != nil && s.get != nil {
		s.refresh(ctx)
	}
}
