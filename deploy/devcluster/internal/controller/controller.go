// Package controller runs what keeps something up to date with the objects of a
// cluster.
package controller

import (
	"context"
	"fmt"
	"io"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// prepareRetry is how long after trouble it is prepared again.
const prepareRetry = time.Second

// Controller is what Run runs.
type Controller struct {
	Name    string // in the log
	Prepare func(context.Context) error
	Update  func(context.Context) error // with what the informers have
	Retry   time.Duration               // how long after trouble it is updated again
	Log     io.Writer
}

// Run prepares, again and again until that succeeds, and then updates at first and
// after each change that an informer of the factory sees, until ctx ends. Trouble
// is said on the log and tried again; an error is of the informers alone.
func Run(ctx context.Context, c Controller, factory informers.SharedInformerFactory, watched ...cache.SharedIndexInformer) error {
	for err := c.Prepare(ctx); err != nil; err = c.Prepare(ctx) {
		c.say(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(prepareRetry):
		}
	}
	changed := make(chan struct{}, 1)
	poke := func(any) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: poke, UpdateFunc: func(_, o any) { poke(o) }, DeleteFunc: poke}
	for _, informer := range watched {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watch the objects of %s: %w", c.Name, err)
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	poke(nil)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		if err := c.Update(ctx); err != nil && ctx.Err() == nil {
			c.say(err)
			time.AfterFunc(c.Retry, func() { poke(nil) })
		}
	}
}

func (c Controller) say(err error) { _, _ = fmt.Fprintf(c.Log, "%s: %v\n", c.Name, err) }
