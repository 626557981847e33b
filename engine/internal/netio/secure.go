package netio

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// Secure is a System that carries TLS over another System. Descriptors are the inner System's own. One that Server, Client or
// Adopt made TLS is read and written in plaintext; every other one passes through: a listener, a socket that is connecting.
//
// crypto/tls reads ciphertext from the socket into its own buffer, and what it seals goes to the socket in one write. A connection that
// is idle keeps no buffer of ours.
//
// Server, Client, Adopt and Expire are called on the loop, like most methods of System. State is safe from any goroutine whose
// caller knows that the descriptor is open, like Write.
type Secure struct {
	sys     System
	shakes  *Handshakes
	handler Handler
	table   sessions

	standing []*session    // loop: those that have something to report of which the inner System does not know
	serving  []*session    // loop: of these, those of this turn
	telling  *session      // loop: whose event the handler is being told of
	leaving  []*session    // loop: closed ones that still have something to deliver
	graves   []grave       // loop: those to close when no event can name them
	ripe     int           // loop: of these, how many may be closed at the next wake
	timer    time.Duration // loop: the engine's; 0: disarmed
	armed    time.Duration // loop: the inner System's
	scratch  []byte        // loop: what handshakes are read through, and what is dropped
	lent     *lentBuffer   // loop: what connections are read into; nil while one has it
	fields   fields        // of a tls.Conn
	reading  time.Duration // loop: what Reads that ended by their time have taken since the poller was looked at
	linger   time.Duration // lingerTime, but for tests
	ended    bool          // loop: Run has returned, or its handler wants it to

	posts struct {
		sync.Mutex
		list []*session // those that another goroutine has done something for
	}
}

// grave is a descriptor that has left the poller.
type grave struct {
	fd    int
	abort bool
}

var (
	_ System    = (*Secure)(nil)
	_ Connector = (*Secure)(nil)
	_ Handler   = (*Secure)(nil)
)

// NewSecure makes a loop that carries TLS over sys. Its handshakes share the slots of shakes with those of other loops.
func NewSecure(sys System, shakes *Handshakes) *Secure {
	return &Secure{sys: sys, shakes: shakes, fields: tlsFields(), linger: lingerTime}
}

// Server makes fd, which is connected and not yet added, the server's end of a TLS connection. Its handshake begins when its first record is there.
func (s *Secure) Server(fd int, config *tls.Config) { s.secure(fd, config, false) }

// ServerFrom is Server for a descriptor of which some bytes were read already: early is what of them belongs to TLS (behind a PROXY header). It is
// copied. fd was removed, and is added anew; when the handshake needs no more than early holds, it goes on without an event of the kernel's.
func (s *Secure) ServerFrom(fd int, config *tls.Config, early []byte) {
	k := s.secure(fd, config, false)
	if len(early) > 0 {
		k.shake = &shake{of: k, in: append([]byte(nil), early...)}
	}
}

// Client makes fd, which is connected and was not added or was removed since, the client's end of a TLS connection. config names the server
// (ServerName) or does not verify it. Its handshake begins when it is added.
func (s *Secure) Client(fd int, config *tls.Config) { s.secure(fd, config, true) }

func (s *Secure) secure(fd int, config *tls.Config, client bool) *session {
	k := &session{loop: s, fd: int32(fd), config: config, client: client}
	k.transport = &k.own
	k.own.on.Store(k)
	s.table.set(fd, k)
	return k
}

// State is what the handshake of fd agreed on; ok is false until it is over, and for a descriptor that is not TLS.
func (s *Secure) State(fd int) (state tls.ConnectionState, ok bool) {
	if k := s.table.at(fd); k != nil && k.phase.Load() == phaseOpen {
		return k.tls.ConnectionState(), true
	}
	return state, false
}

// Wake implements System.
func (s *Secure) Wake() { s.sys.Wake() }

// Now implements System.
func (s *Secure) Now() time.Duration { return s.sys.Now() }

// Add implements System.
func (s *Secure) Add(fd int) error {
	if k := s.table.at(fd); k != nil {
		return k.add()
	}
	return s.sys.Add(fd)
}

// Interest implements System. was is not needed for a TLS connection, which knows.
func (s *Secure) Interest(fd int, was, now Interest) error {
	k := s.table.at(fd)
	if k == nil {
		return s.sys.Interest(fd, was, now)
	}
	if k.want = now; now&Readable == 0 {
		k.leanOut()
	}
	err := k.watch()
	k.stand()
	return err
}

// Remove implements System.
func (s *Secure) Remove(fd int) {
	if k := s.table.at(fd); k != nil {
		k.remove()
		return
	}
	s.sys.Remove(fd)
}

// Accept implements System: what it takes is not TLS yet.
func (s *Secure) Accept(listener int) (int, netip.AddrPort, error) { return s.sys.Accept(listener) }

// Read implements System. It reads whole records for as long as p has room, and calls the inner System no more once that has
// answered less than was asked for.
func (s *Secure) Read(fd int, p []byte) (int, error) {
	if k := s.table.at(fd); k != nil {
		return k.read(p)
	}
	return s.sys.Read(fd, p)
}

// Write implements System. It answers how much of p has left for the network in whole records, and seals up to 64 KiB ahead: what
// was not answered is presented again, first and unchanged, and is not sealed a second time, however it is cut then.
func (s *Secure) Write(fd int, p []byte) (int, error) {
	if k := s.table.at(fd); k != nil {
		v := [1][]byte{p}
		return k.write(v[:])
	}
	return s.sys.Write(fd, p)
}

// Writev implements System. Small slices share a record.
func (s *Secure) Writev(fd int, v [][]byte) (int, error) {
	if k := s.table.at(fd); k != nil {
		return k.write(v)
	}
	return s.sys.Writev(fd, v)
}

// CloseWrite implements System: close_notify follows what is sealed, and the end of the inner stream follows that.
func (s *Secure) CloseWrite(fd int) error {
	if k := s.table.at(fd); k != nil {
		return k.closeWrite()
	}
	return s.sys.CloseWrite(fd)
}

// Probe implements System. It knows of a truncated stream only when that was read.
func (s *Secure) Probe(fd int) error {
	if k := s.table.at(fd); k != nil && k.readErr != nil {
		return k.readErr
	}
	return s.sys.Probe(fd)
}

// Unacked implements System. What is sealed ahead does not count: Write has not answered it. What TLS itself has to say does.
func (s *Secure) Unacked(fd int) (waiting int, taken uint64) {
	waiting, taken = s.sys.Unacked(fd)
	if k := s.table.at(fd); k != nil {
		waiting += k.ownWaiting()
	}
	return waiting, taken
}

// Close implements System. What is sealed is delivered for at most 10 seconds, close_notify with it, while the loop runs; what is left then Release delivers.
func (s *Secure) Close(fd int) error {
	if k := s.table.at(fd); k != nil {
		return k.close(false)
	}
	return s.sys.Close(fd)
}

// Abort implements System. An alert that TLS has for the peer is delivered nevertheless, as Close does: it says why the connection ends.
func (s *Secure) Abort(fd int) error {
	if k := s.table.at(fd); k != nil {
		return k.close(true)
	}
	return s.sys.Abort(fd)
}

// Connect implements Connector, where the inner System is one.
func (s *Secure) Connect(to Target) (int, error) {
	if c, ok := s.sys.(Connector); ok {
		return c.Connect(to)
	}
	return -1, errors.ErrUnsupported
}

// Connected implements Connector.
func (s *Secure) Connected(fd int, to Target) error {
	if c, ok := s.sys.(Connector); ok {
		return c.Connected(fd, to)
	}
	return errors.ErrUnsupported
}
