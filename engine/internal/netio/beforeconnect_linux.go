package netio

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// BeforeConnect is a net.Dialer's Control: what Native.Connect sets on a socket before it connects.
func BeforeConnect(b Buffers) func(network, addr string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			b.Set(int(fd))
			setLatePort(int(fd))
		})
	}
}

// setLatePort leaves the port of a local address to connect: one that is chosen by bind is taken for every target, and some 28,000
// connections were the end. A kernel older than 4.2 does not know it.
func setLatePort(fd int) { _ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) }
