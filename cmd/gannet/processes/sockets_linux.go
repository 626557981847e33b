package processes

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// listen opens n listening sockets on one TCP address, over which the kernel spreads the connections. Port 0 is chosen once.
//
// SO_REUSEPORT alone would let a second server of the same user join unnoticed and take a part of the connections. So the first
// socket is bound without it, which fails where anybody listens, and shares only when it has the address.
func listen(ctx context.Context, addr string, n int) (sockets []*os.File, at net.Addr, err error) {
	for i := range n {
		var config net.ListenConfig
		config.SetMultipathTCP(false) // the engine's own sockets are plain TCP, too
		if i > 0 {
			config.Control = func(_, _ string, c syscall.RawConn) error { return share(c) }
		}
		ln, err := config.Listen(ctx, "tcp", addr)
		if err != nil {
			closeFiles(sockets)
			return nil, nil, err
		}
		file, err := sharedFile(ln.(*net.TCPListener))
		_ = ln.Close() // file is a duplicate
		if err != nil {
			closeFiles(sockets)
			return nil, nil, err
		}
		sockets = append(sockets, file)
		at, addr = ln.Addr(), ln.Addr().String()
	}
	return sockets, at, nil
}

func sharedFile(ln *net.TCPListener) (*os.File, error) {
	raw, err := ln.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := share(raw); err != nil {
		return nil, err
	}
	return ln.File()
}

// share lets other sockets of this user have the same address.
func share(c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	return errors.Join(err, os.NewSyscallError("setsockopt SO_REUSEPORT", failed))
}

// pair are the two ends of a stream between this process and one that it starts. No other child has a copy of ours, so that the
// end of this process is the end of the stream.
func pair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	file := os.NewFile(uintptr(fds[0]), "to a process of the group")
	defer file.Close()
	theirs = os.NewFile(uintptr(fds[1]), "to the group")
	if ours, err = net.FileConn(file); err != nil { // of a duplicate
		_ = theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}
