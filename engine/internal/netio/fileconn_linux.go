package netio

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// FileConn gives a net.Conn over a duplicate of a native descriptor, for a connection
// that leaves its loop. The descriptor itself stays the caller's to close.
func FileConn(fd int) (net.Conn, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(dup), "")
	defer f.Close() // net.FileConn makes its own duplicate
	return net.FileConn(f)
}
