package async

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// Caller is who asks for calls.
type Caller struct {
	KeyID string
	May   func(vanityURL string) bool // reports which algorithms it may call
	// Sees reports whether it may see what a key or an identity began; nil sees all.
	Sees func(keyID string) bool
	// Room is asked for memory before a result is read, and holds it until the
	// reply is written. Its error refuses the request.
	Room func(size int) error
}

// errNoRoom is of a result for which Caller.Room had none.
var errNoRoom = errors.New("no room for a result")

// room is Caller.Room with an error that tells it from the queue's.
func (c *Caller) room(size int) error {
	if err := c.Room(size); err != nil {
		return fmt.Errorf("%w: %w", errNoRoom, err)
	}
	return nil
}

// unseen is the failure of a call that its caller may not see, as of one that is
// not there.
func unseen() *protocol.Failure {
	return protocol.Refuse(http.StatusNotFound, "there is no such call, or it is of an algorithm that this API key may not call")
}

// lookFor is look of what a caller may see.
func (s *Service) lookFor(ctx context.Context, at callRef, c *Caller) (*record, *protocol.Failure) {
	seen, f := s.look(ctx, at, c.room)
	if f == nil && c.Sees != nil && !c.Sees(seen.KeyID) {
		return nil, unseen()
	}
	return seen, f
}
