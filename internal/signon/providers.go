package signon

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Options are what providers are made with. Now and Log may be nil.
type Options struct {
	PublicURL string // where providers send browsers back to
	Now       func() time.Time
	Log       *slog.Logger
}

// Providers are all that people sign in by; nil is none.
type Providers struct{ list []*Provider }

// maxProviders is how many providers there can be: each is a button.
const maxProviders = 20

// New makes the providers of settings, and asks none of them yet.
func New(all []Settings, o Options) (*Providers, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(all) > maxProviders {
		return nil, fmt.Errorf("there are %d providers, and at most %d are taken", len(all), maxProviders)
	}
	p := &Providers{}
	for _, s := range all {
		next, err := newProvider(s, o)
		if err != nil {
			return nil, err
		}
		for _, other := range p.list {
			if other.Name() == next.Name() || other.Issuer() == next.Issuer() {
				return nil, fmt.Errorf("the providers %s and %s have the same name or issuer", other.Name(), next.Name())
			}
		}
		p.list = append(p.list, next)
	}
	return p, nil
}

// All returns the providers in the order of their settings.
func (p *Providers) All() []*Provider {
	if p == nil {
		return nil
	}
	return p.list
}

// Get returns a provider by its name.
func (p *Providers) Get(name string) (*Provider, error) {
	for _, provider := range p.All() {
		if provider.Name() == name {
			return provider, nil
		}
	}
	return nil, constellation.Errorf(constellation.KindNotFound, "there is no sign-in by a provider %q here", strings.ToValidUTF8(name[:min(len(name), 40)], ""))
}

// Run asks the providers what they are until ctx ends: soon again where one did not
// answer.
func (p *Providers) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, provider := range p.All() {
		all.Go(func() { provider.run(ctx) })
	}
	all.Wait()
}

func (p *Provider) run(ctx context.Context) {
	tick := time.NewTicker(askSoon)
	defer tick.Stop()
	for {
		if p.due() {
			_, _ = p.ask(ctx) // which notes how it went
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
