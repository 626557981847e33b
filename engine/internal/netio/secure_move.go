package netio

import (
	"crypto/tls"
	"errors"
	"net"
)

// errNotMovable: the connection cannot change between a loop and blocking I/O.
var errNotMovable = errors.New("netio: not a TLS connection whose transport can be switched")

// Adopt makes fd a TLS connection that goes on where t is now. The handshake of t is over, its NetConn is a *Transport, fd is a
// duplicate of the socket beneath (DupConn), and nobody else uses t any more. The caller closes the socket beneath.
func (s *Secure) Adopt(fd int, t *tls.Conn) error {
	transport, ok := t.NetConn().(*Transport)
	if !ok || transport.on.Load() != nil || !t.ConnectionState().HandshakeComplete {
		return errNotMovable
	}
	k := &session{loop: s, fd: int32(fd), tls: t, transport: transport}
	k.early, transport.left, transport.conn = transport.left, nil, nil
	k.takeStock()
	k.overhead = overheadOf(t.ConnectionState())
	if transport.owed != nil {
		k.place(transport.owed)
		transport.owed = nil
		k.noteOut()
	}
	k.phase.Store(phaseOpen)
	transport.on.Store(k)
	s.table.set(fd, k)
	return nil
}

// Detach gives the TLS connection of fd, which was removed before, to blocking I/O: it answers a *tls.Conn over a duplicate of fd, with all that was
// read from the socket and not taken. fd itself stays the caller's to close, and is plain from here on. What was sealed leaves before
// what the new owner writes first. It does not block, and is called on the loop.
func (s *Secure) Detach(fd int) (net.Conn, error) {
	k := s.table.at(fd)
	if k == nil || k.phase.Load() != phaseOpen {
		return nil, errNotMovable
	}
	conn, err := FileConn(fd)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.transport
	t.conn, t.left = conn, k.early
	if k.flush(); k.out != nil {
		t.owed = append([]byte(nil), k.out.b[k.out.off:]...)
		k.dropOut()
	}
	k.phase.Store(phaseClosed)
	t.on.Store(nil)
	s.table.set(fd, nil)
	return k.tls, nil
}
