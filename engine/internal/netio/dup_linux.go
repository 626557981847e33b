package netio

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// DupListener gives a descriptor of our own for a listener of package net: non-blocking,
// ready for Accept. ok is false for a listener that is not a plain TCP or unix socket.
// The socket lives until both are closed, and ln still belongs to the caller; closing a
// *net.UnixListener removes its file as always.
func DupListener(ln net.Listener) (fd int, ok bool, err error) {
	switch l := ln.(type) {
	case *net.TCPListener:
		fd, err = dup(l, true)
	case *net.UnixListener:
		if l.Addr().Network() != "unix" { // unixpacket keeps message borders
			return -1, false, nil
		}
		fd, err = dup(l, false)
	default:
		return -1, false, nil
	}
	return fd, true, err
}

// DupConn is DupListener for a connection. The peer sees the end of the stream only
// when c and fd are both closed, so the caller closes c, unread, once it has fd.
func DupConn(c net.Conn) (fd int, ok bool, err error) {
	switch c := c.(type) {
	case *net.TCPConn:
		fd, err = dup(c, true)
	case *net.UnixConn:
		if c.LocalAddr().Network() != "unix" {
			return -1, false, nil
		}
		fd, err = dup(c, false)
	default:
		return -1, false, nil
	}
	return fd, true, err
}

// dup does not use File, which would make the socket blocking for net as well: the
// flag belongs to what both descriptors share.
func dup(c syscall.Conn, tcp bool) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var failed error
	err = raw.Control(func(original uintptr) {
		fd, failed = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil {
		return -1, err
	}
	if failed != nil {
		return -1, os.NewSyscallError("fcntl", failed)
	}
	if err := prepare(fd, tcp); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// prepare makes a socket what the loops expect; accepted ones inherit TCP_NODELAY.
func prepare(fd int, tcp bool) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	if !tcp {
		return nil
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
}

// errNotListening: an inherited descriptor that cannot be served.
var errNotListening = errors.New("it is no listening stream socket")

// TakeListener makes a listener of an inherited descriptor, which is closed: the listener has a duplicate that no child
// inherits. What is no listening stream socket stays as it is: it may be the runtime's own, if whoever passed it lied.
func TakeListener(fd int) (net.Listener, error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotListening, os.NewSyscallError("getsockopt", err))
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil || listens == 0 || kind != unix.SOCK_STREAM {
		return nil, errNotListening
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	return net.FileListener(f)
}
