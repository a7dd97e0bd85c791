package queue

import (
	"errors"
	"net"
	"sync"
	"time"
)

// lateDialer refuses the first attempts, so that the client goes on in the
// background instead of letting its caller wait for all servers in turn.
type lateDialer struct {
	ready chan struct{}
	once  sync.Once
}

var errLater = errors.New("connects in the background")

func (d *lateDialer) open() { d.once.Do(func() { close(d.ready) }) }

// Dial connects once the dialer is open.
func (d *lateDialer) Dial(network, address string) (net.Conn, error) {
	select {
	case <-d.ready:
	default:
		return nil, errLater
	}
	return net.DialTimeout(network, address, 3*time.Second)
}
