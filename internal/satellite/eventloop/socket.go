package eventloop

import (
	"errors"
	"net"
)

// Socket is the descriptor of a non-blocking TCP socket.
type Socket int

// noSocket is none.
const noSocket Socket = -1

var (
	// errAgain is the error of what would block.
	errAgain = errors.New("the operation would block")
	// errAborted is the error of a connection that ended before it was accepted.
	errAborted = errors.New("the connection was aborted")
)

// IsAgain reports whether an operation failed because it would have blocked.
func IsAgain(err error) bool { return err == errAgain } //nolint:errorlint // never wrapped, and the hot path

// TryWrite writes what goes without blocking, and returns 0 when that is
// nothing. That the connection ended shows in reading.
func (s Socket) TryWrite(p []byte) int {
	n, _ := s.send(p)
	return n
}

// SocketOf returns a connection's socket, and closes the connection. It fails
// for what is not plain TCP.
func SocketOf(conn net.Conn) (Socket, error) {
	defer func() { _ = conn.Close() }()
	if read, ok := conn.(*PrefixConn); ok && len(read.data) == 0 {
		conn = read.Conn
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return noSocket, errors.New("the connection is not plain TCP")
	}
	return duplicate(tcp)
}
