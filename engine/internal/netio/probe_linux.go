package netio

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// probeConn asks the kernel about the socket beneath c; nil when there is none.
func probeConn(c net.Conn) error {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return plainError(err)
	}
	var found error
	err = raw.Control(func(fd uintptr) {
		var scratch [1]unix.PollFd
		found = probe(int(fd), &scratch)
	})
	if err != nil {
		return plainError(err)
	}
	return found
}
