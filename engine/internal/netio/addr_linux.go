package netio

import (
	"net"

	"golang.org/x/sys/unix"
)

// LocalAddr is the socket's own address: *net.TCPAddr or *net.UnixAddr; nil when the
// kernel no longer knows.
func LocalAddr(fd int) net.Addr { return netAddr(unix.Getsockname(fd)) }

// PeerAddr is the address of the other end; nil when the kernel no longer knows, as
// after a reset.
func PeerAddr(fd int) net.Addr { return netAddr(unix.Getpeername(fd)) }

func netAddr(a unix.Sockaddr, err error) net.Addr {
	if err != nil {
		return nil
	}
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port, Zone: zone(a.ZoneId)}
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: a.Name, Net: "unix"}
	}
	return nil
}
