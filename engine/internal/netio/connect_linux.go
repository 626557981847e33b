package netio

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

var _ Connector = (*Native)(nil)

// Connect implements Connector. Nothing is allocated.
func (n *Native) Connect(to Target) (int, error) {
	family := unix.AF_UNIX
	if to.Unix == "" {
		family = familyOf(to.Addr.Addr())
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := n.connect(fd, to); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func familyOf(a netip.Addr) int {
	if a.Is4() || a.Is4In6() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func (n *Native) connect(fd int, to Target) error {
	n.Buffers.Set(fd)
	if to.Unix != "" {
		return unix.Connect(fd, &unix.SockaddrUnix{Name: to.Unix})
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if to.Local.IsValid() {
		if err := n.bind(fd, to); err != nil {
			return err
		}
	}
	switch errno := n.call(unix.SYS_CONNECT, fd, to.Addr); errno {
	case 0, unix.EINPROGRESS, unix.EINTR: // a call that was interrupted goes on by itself
		return nil
	default:
		return errno
	}
}

// bind sets the local address and leaves the port to connect.
func (n *Native) bind(fd int, to Target) error {
	if familyOf(to.Local) != familyOf(to.Addr.Addr()) {
		return unix.EAFNOSUPPORT
	}
	setLatePort(fd)
	if errno := n.call(unix.SYS_BIND, fd, netip.AddrPortFrom(to.Local, 0)); errno != 0 {
		return errno
	}
	return nil
}

// call is a system call that takes a descriptor and an internet address.
func (n *Native) call(number uintptr, fd int, a netip.AddrPort) unix.Errno {
	size, errno := putAddress(&n.scratch.address, a)
	if errno != 0 {
		return errno
	}
	_, _, errno = unix.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(&n.scratch.address)), size)
	return errno
}

// putAddress is the kernel's form of an internet address.
func putAddress(to *unix.RawSockaddrAny, a netip.AddrPort) (size uintptr, errno unix.Errno) {
	if familyOf(a.Addr()) == unix.AF_INET {
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(to))
		*in = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: toNetworkOrder(a.Port()), Addr: a.Addr().Unmap().As4()}
		return unix.SizeofSockaddrInet4, 0
	}
	scope, ok := scopeOf(a.Addr().Zone())
	if !ok {
		return 0, unix.ENODEV
	}
	in := (*unix.RawSockaddrInet6)(unsafe.Pointer(to))
	*in = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: toNetworkOrder(a.Port()), Addr: a.Addr().As16(), Scope_id: scope}
	return unix.SizeofSockaddrInet6, 0
}

// scopeOf is the number of a zone, which is that number or an interface's name.
func scopeOf(zone string) (scope uint32, ok bool) {
	if zone == "" {
		return 0, true
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), true
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, false
	}
	return uint32(i.Index), true
}

// toNetworkOrder turns a port into what the kernel stores.
func toNetworkOrder(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}

// Connected implements Connector.
func (n *Native) Connected(fd int, to Target) error {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if errno != 0 {
		return unix.Errno(errno)
	}
	if to.Unix != "" {
		return nil
	}
	if errno := n.name(unix.SYS_GETPEERNAME, fd); errno == unix.ENOTCONN {
		return ErrAgain
	} else if errno != 0 {
		return errno
	}
	return n.notItself(fd, to)
}

// name asks for one of a socket's addresses.
func (n *Native) name(number uintptr, fd int) unix.Errno {
	s := &n.scratch
	s.length = unix.SizeofSockaddrAny
	_, _, errno := unix.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(&s.address)), uintptr(unsafe.Pointer(&s.length)))
	return errno
}

// notItself refuses a socket that is connected to itself. TCP allows it (RFC 9293 3.5, simultaneous open), and it happens where the
// target is an ephemeral port of this machine that nobody listens on, and the kernel chooses just that one.
func (n *Native) notItself(fd int, to Target) error {
	if errno := n.name(unix.SYS_GETSOCKNAME, fd); errno != 0 {
		return errno
	}
	own := addrPort(&n.scratch.address)
	if own.Port() == to.Addr.Port() && own.Addr() == to.Addr.Addr().Unmap() {
		return unix.ECONNREFUSED
	}
	return nil
}
