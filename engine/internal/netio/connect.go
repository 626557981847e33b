package netio

import "net/netip"

// Target is where a connection goes: an internet address, or a unix socket.
type Target struct {
	// Addr is the TCP address. Its zone is an interface's name or number.
	Addr netip.AddrPort
	// Local is the address that the connection comes from, of the family of Addr; its port is the kernel's choice, made
	// for the pair of both addresses, so that one local address carries as many connections to each target as there are
	// ephemeral ports. The zero value: the kernel chooses.
	Local netip.Addr
	// Unix is the path of a unix socket, "@name" an abstract one's; then Addr and Local mean nothing.
	Unix string
}

// Connector is a System whose sockets can begin connections; a Bridge is given what others have dialled.
type Connector interface {
	// Connect begins a connection and answers its descriptor, which is non-blocking, without Nagle's delay, and not yet
	// added. Interest(fd, 0, Writable) adds it: Writable comes when it is connected, or has failed, which Connected
	// tells. An error means that there is no descriptor: EADDRNOTAVAIL when the ports of Local have run
	// out, EAGAIN when a unix socket's queue is full, else the kernel's.
	Connect(to Target) (fd int, err error)
	// Connected tells how a connection that was begun came out: nil, the error that it failed with, or ErrAgain while it is
	// under way. It is asked once after Writable; the error may be gone afterwards.
	Connected(fd int, to Target) error
}
