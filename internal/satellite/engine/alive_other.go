//go:build !unix

package engine

import "net"

// alive cannot tell on this system; a dead connection then shows when used.
func alive(net.Conn) bool { return true }
