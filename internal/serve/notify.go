package serve

import (
	"log/slog"
	"net"
	"os"
)

// notifySystemd tells the service manager that started this process what goes on,
// by sd_notify's protocol: READY=1 when requests are answered, STOPPING=1 when it
// ends. Without one, which is when NOTIFY_SOCKET is not set, it does nothing.
//
// It is some lines, and a library for them would bring its journal and D-Bus along.
func notifySystemd(log *slog.Logger, state string) {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return
	}
	if address[0] == '@' { // of Linux's abstract namespace
		address = "\x00" + address[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Net: "unixgram", Name: address})
	if err == nil {
		_, err = conn.Write([]byte(state))
		_ = conn.Close() // a datagram is sent or was refused
	}
	if err != nil {
		log.Warn("tell the service manager what goes on", "error", err)
	}
}
