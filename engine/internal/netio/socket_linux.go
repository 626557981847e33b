package netio

import (
	"encoding/binary"
	"io"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawLimit is the largest write that stays out of the scheduler's sight: a message of 1 MiB with what stands
// before it in the cork.
//
// unix.Read and unix.Write tell the scheduler that a call may block, which costs 35 to
// 45 ns a call (an empty read of a socket: 180 ns without, 220 ns with; medians of five)
// and, when the call takes over 20 us, its monitor gives the processor to another thread, which it wakes for that, and
// for which the loop queues afterwards: of an echo of 1 MiB a tenth. Our calls never block, they copy. The price of the raw call is
// that a garbage collection's stop waits for it, as it would for a copy in Go: a read of
// a full 512 KiB slab takes 43 us (median of 400), a write of 1 MiB on loopback, which also runs the
// receiver's half of TCP, 330 us (median of 300). Larger ones go the ordinary way.
const rawLimit = 1<<20 + 64<<10

// Read implements System.
func (n *Native) Read(fd int, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		got, errno := read(fd, p)
		switch errno {
		case 0:
			if got == 0 {
				return 0, io.EOF
			}
			n.edge.read(fd, got, len(p))
			return got, nil
		case unix.EINTR:
		case unix.EAGAIN:
			n.nothing(fd)
			return 0, ErrAgain
		default:
			return 0, errno
		}
	}
}

// Write implements System.
func (n *Native) Write(fd int, p []byte) (int, error) {
	n.yields.called()
	if len(p) == 0 {
		return 0, nil
	}
	for {
		put, errno := write(fd, p)
		switch errno {
		case 0:
			return put, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, ErrAgain
		default:
			return 0, errno
		}
	}
}

// CloseWrite implements System.
func (n *Native) CloseWrite(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) }

// Close implements System. Linux frees the number even when it answers EINTR.
func (n *Native) Close(fd int) error { return unix.Close(fd) }

// Abort implements System. The option is TCP's; on a unix socket it does nothing, and
// the peer sees the end of the stream, or ECONNRESET if it had written what we did not read.
func (n *Native) Abort(fd int) error {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	return unix.Close(fd)
}

// Unacked implements System.
func (n *Native) Unacked(fd int) (waiting int, taken uint64) {
	waiting, taken, _ = unacked(fd)
	return waiting, taken
}

// Probe implements System.
func (n *Native) Probe(fd int) error { return probe(fd) }

// probe asks without reading: a read would stop at the unread bytes that are the very
// reason why nobody reads. The kernel reports a FIN or RST that arrived behind them; it
// cannot report what the peer has not been able to send because our window is closed.
func probe(fd int) error {
	asked := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	for {
		_, err := unix.Poll(asked, 0)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return err
		}
	}
	found := asked[0].Revents
	if found&unix.POLLNVAL != 0 {
		return unix.EBADF
	}
	if found&unix.POLLERR != 0 {
		errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			return err
		}
		if errno != 0 {
			return unix.Errno(errno)
		}
	}
	if found&(unix.POLLHUP|unix.POLLRDHUP) != 0 {
		return io.EOF
	}
	return nil
}

// Accept implements System. Listeners made by Listen, ListenGroup and DupListener have
// TCP_NODELAY set, which Linux hands down to the accepted socket: one system call per
// connection (and one for each of Buffers), nothing allocated. Errors are the kernel's (EMFILE, ENFILE, ENOBUFS,
// ENOMEM: nothing was taken from the queue).
func (n *Native) Accept(listener int) (int, netip.AddrPort, error) {
	s := &n.scratch
	for {
		s.length = unix.SizeofSockaddrAny
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener),
			uintptr(unsafe.Pointer(&s.address)), uintptr(unsafe.Pointer(&s.length)),
			unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			if n.Buffers != (Buffers{}) { // a unix socket inherits none, and one that waited for us has none yet
				n.Buffers.Set(int(fd))
			}
			return int(fd), addrPort(&s.address), nil
		case unix.EINTR, unix.ECONNABORTED, unix.EPROTO:
			// The last two are the end of the connection at the head of the queue.
		case unix.EAGAIN:
			n.nothing(listener)
			return -1, netip.AddrPort{}, ErrAgain
		default:
			return -1, netip.AddrPort{}, errno
		}
	}
}

// addrPort is the internet address in a kernel's answer, IPv4 in its own form; zero
// for other families.
func addrPort(a *unix.RawSockaddrAny) netip.AddrPort {
	switch a.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), networkOrder(in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(a))
		ip := netip.AddrFrom16(in.Addr).Unmap().WithZone(zone(in.Scope_id))
		return netip.AddrPortFrom(ip, networkOrder(in.Port))
	}
	return netip.AddrPort{}
}

// zone is the interface of a link-local address by its number, which dialling and
// parsing accept like its name; the name would cost a question to the kernel.
func zone(id uint32) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(id), 10)
}

// networkOrder turns a port as the kernel stores it into a number.
func networkOrder(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}
