//go:build !linux

package eventloop

import (
	"errors"
	"net"
	"syscall"
)

// Supported is whether this system has event loops.
const Supported = false

func maxSockets() int { return 0 }

// event is what a poller reports of a connection.
type event struct {
	Fd, Pad int32
	Events  uint32
}

// Events are what a connection is ready for.
type Events uint32

// Readable reports whether there may be something to read.
func (Events) Readable() bool { return false }

// Writable reports whether something may be written.
func (Events) Writable() bool { return false }

// Ended reports whether the other side sends no more.
func (Events) Ended() bool { return false }

// Broken reports whether the connection ended in both directions.
func (Events) Broken() bool { return false }

type poller struct{}

func newPoller() (poller, error) { return poller{}, errors.ErrUnsupported }

func (poller) close()                         {}
func (poller) add(Socket, int32) error        { return errors.ErrUnsupported }
func (poller) addListener(Socket) error       { return errors.ErrUnsupported }
func (poller) remove(Socket)                  {}
func (poller) wakeUp()                        {}
func (poller) drainWake()                     {}
func (poller) wait([]event, int) (int, error) { return 0, errors.ErrUnsupported }
func (poller) poll([]event, int) int          { return 0 }
func (Socket) receive([]byte) (int, error)    { return 0, errors.ErrUnsupported }
func (Socket) isQuiet() bool                  { return false }
func (Socket) send([]byte) (int, error)       { return 0, errors.ErrUnsupported }
func (Socket) sendAll([][]byte) (int, error)  { return 0, errors.ErrUnsupported }
func (Socket) tune()                          {}
func (Socket) remoteHost() string             { return "" }
func accept(Socket) (Socket, error)           { return noSocket, errors.ErrUnsupported }
func duplicate(syscall.Conn) (Socket, error)  { return noSocket, errors.ErrUnsupported }

// Close closes the socket, which no Conn has.
func (Socket) Close() {}

// NetConn returns the socket, which no Conn has, as a net.Conn.
func (Socket) NetConn() (net.Conn, error) { return nil, errors.ErrUnsupported }
