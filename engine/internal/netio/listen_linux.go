package netio

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Listen opens a listening socket for Accept: network is tcp, tcp4, tcp6 or unix, addr
// as for net.Listen (port 0 and an empty host included). reusePort lets other sockets
// of this user share the address; without it, and with it if someone who does not share
// it has the address, the answer is EADDRINUSE. A unix socket's file is made; the caller
// removes it in the end. A file that a dead server left is replaced.
//
// The socket has its buffers before it listens: accepted ones inherit them on TCP, and the window that a handshake of TCP
// offers follows from them (tcp(7)).
func Listen(network, addr string, reusePort bool, b Buffers) (fd int, at net.Addr, err error) {
	if network == "unix" {
		return listenUnix(addr, b)
	}
	return listenOn(network, addr, reusePort, b)
}

// ListenGroup opens up to n sockets on one address, among which the kernel spreads the
// connections (SO_REUSEPORT), so that each loop accepts its own. Port 0 is chosen once.
//
// SO_REUSEPORT alone would let a second server of the same user join in unnoticed and
// take half of the connections. So the first socket is bound without it, which fails
// with EADDRINUSE if anybody listens there, and shares only when it holds the address.
//
// There are fewer than n where the address cannot be shared: one for unix.
func ListenGroup(network, addr string, n int, b Buffers) (fds []int, at net.Addr, err error) {
	first, at, err := Listen(network, addr, false, b)
	if err != nil {
		return nil, nil, err
	}
	fds = append(make([]int, 0, n), first)
	if network == "unix" || n < 2 {
		return fds, at, nil
	}
	if err := unix.SetsockoptInt(first, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return fds, at, nil // a kernel or sandbox without it
	}
	for len(fds) < n {
		fd, _, err := Listen(network, at.String(), true, b)
		if errors.Is(err, unix.EADDRINUSE) {
			break // likewise: a kernel that asks for the option before the first bind
		}
		if err != nil {
			closeAll(fds)
			return nil, nil, err
		}
		fds = append(fds, fd)
	}
	return fds, at, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// listenOn lets package net resolve, choose between IPv4, IPv6 and both, and ask the
// system for the backlog; we keep a duplicate of its socket. Multipath TCP, which net
// would listen for, is slower for plain peers.
func listenOn(network, addr string, reusePort bool, b Buffers) (int, net.Addr, error) {
	switch network {
	case "tcp", "tcp4", "tcp6", "unix":
	default:
		return -1, nil, net.UnknownNetworkError(network)
	}
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	config.Control = func(_, _ string, c syscall.RawConn) error { return setUp(c, reusePort, b) }
	ln, err := config.Listen(context.Background(), network, addr)
	if err != nil {
		return -1, nil, err
	}
	defer ln.Close()
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	fd, _, err := DupListener(ln)
	return fd, ln.Addr(), err
}

// setUp sets what a socket has to have before it is bound.
func setUp(c syscall.RawConn, reusePort bool, b Buffers) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		b.Set(int(fd))
		if reusePort {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}
	})
	return errors.Join(err, failed)
}

// listenUnix replaces a socket file that nobody answers on.
func listenUnix(path string, b Buffers) (int, net.Addr, error) {
	fd, at, err := listenOn("unix", path, false, b)
	if !errors.Is(err, unix.EADDRINUSE) {
		return fd, at, err
	}
	dead := deadSocket(path)
	if dead == nil {
		return fd, at, err
	}
	// Another server may have done the same meanwhile, and listen there now.
	if now, gone := os.Lstat(path); gone == nil && os.SameFile(dead, now) && now.ModTime().Equal(dead.ModTime()) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return -1, nil, err
		}
	}
	return listenOn("unix", path, false, b)
}

// deadSocket is the file at path if that is a socket without a listener. Whatever else is there,
// or cannot be asked, is not ours to remove.
func deadSocket(path string) fs.FileInfo {
	if path == "" || strings.HasPrefix(path, "@") {
		return nil // abstract: no file
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return nil
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return nil
	}
	if errors.Is(err, unix.ECONNREFUSED) {
		return info
	}
	return nil
}
