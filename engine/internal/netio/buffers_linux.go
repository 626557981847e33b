package netio

import "golang.org/x/sys/unix"

// Set sets them on a descriptor.
func (b Buffers) Set(fd int) {
	if b.Send > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, b.Send)
	}
	if b.Receive > 0 {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, b.Receive)
	}
}
