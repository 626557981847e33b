package netio

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// probeConn asks the kernel about the socket beneath c; nil when there is none.
func probeConn(c net.Conn) error {
	var found error
	if _, err := onSocketOf(c, func(fd int) { found = probe(fd) }); err != nil {
		return plainError(err)
	}
	return found
}

// unackedConn is unacked of the socket beneath c, if there is one.
func unackedConn(c net.Conn) (waiting int, taken uint64, counts bool) {
	_, _ = onSocketOf(c, func(fd int) { waiting, taken, counts = unacked(fd) }) // a closed one has no bytes
	return waiting, taken, counts
}

// unreadConn is how many bytes wait to be read from the socket beneath c, if there is one.
func unreadConn(c net.Conn) (n int) {
	_, _ = onSocketOf(c, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) }) // a closed one has no bytes
	return n
}

// onSocketOf runs f with the descriptor of the socket beneath c, if there is one.
func onSocketOf(c net.Conn, f func(fd int)) (ok bool, err error) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return false, nil
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false, err
	}
	return true, raw.Control(func(fd uintptr) { f(int(fd)) })
}

// unacked asks the kernel: SIOCOUTQ, and on TCP, which counts, how much the peer has acknowledged, and the
// window that it advertises, which opens as it reads (tcpi_snd_wnd; 0 before Linux 5.4).
func unacked(fd int) (waiting int, taken uint64, counts bool) {
	waiting, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0, 0, false
	}
	if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		return waiting, info.Bytes_acked + uint64(info.Snd_wnd), true
	}
	return waiting, 0, false
}
