package sim

import (
	"io"
	"net/netip"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// Peer is the far end of a connection. No call waits.
type Peer struct {
	world  *World
	socket *socket
	tap    func([]byte)
	broken bool
	closed bool
}

// Tap has f called with what the engine hands to the network, at the moment it does,
// inside its system call and once for each. f must not keep the slice.
func (p *Peer) Tap(f func([]byte)) { p.tap = f }

// Addr is the address that the engine sees.
func (p *Peer) Addr() netip.AddrPort { return p.socket.addr }

// MoveTo gives the peer another address, before it is accepted.
func (p *Peer) MoveTo(a netip.AddrPort) { p.socket.addr = a }

// Write sends as much of b as there is room for. ErrReset once the connection is gone.
func (p *Peer) Write(b []byte) (int, error) {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	s := p.socket
	if p.broken || p.closed || s.broken != nil || s.inEnd {
		return 0, ErrReset
	}
	if !s.reaches(p.world.now) {
		return 0, nil
	}
	if s.closed {
		// Nobody is there to take it: the answer is a reset, and it may overtake
		// what this peer has not read yet.
		s.reset(p.world.keeps(s))
		return 0, ErrReset
	}
	n := min(len(b), s.inRoom-len(s.in))
	s.in = append(s.in, b[:n]...)
	return n, nil
}

// Flush is for a TLSPeer: a Peer keeps nothing back.
func (p *Peer) Flush() (busy bool) { return false }

// Truncate is CloseWrite, where there is no close_notify to leave out.
func (p *Peer) Truncate() { p.CloseWrite() }

// Drop is Close, where there is no close_notify to leave out.
func (p *Peer) Drop() { p.Close() }

// Read takes what has arrived: n > 0, or ErrAgain, io.EOF, ErrReset.
func (p *Peer) Read(b []byte) (int, error) {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	s := p.socket
	switch {
	case p.closed || len(b) == 0 || !p.broken && !s.reaches(p.world.now):
		return 0, netio.ErrAgain
	case len(s.out) > 0:
		n := copy(b, s.out)
		s.taken += uint64(n)
		s.out = s.out[:copy(s.out, s.out[n:])]
		return n, nil
	case p.broken || s.broken != nil:
		return 0, ErrReset
	case s.outEnd || s.closed:
		return 0, io.EOF
	}
	return 0, netio.ErrAgain
}

// reaches tells whether the engine's end and the peer's have found each other.
func (s *socket) reaches(now time.Duration) bool { return s.over(now) && s.fails == nil }

// Left tells whether the engine has closed its end.
func (p *Peer) Left() bool {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return p.socket.closed
}

// Lost tells whether the peer, or the network, has broken the connection.
func (p *Peer) Lost() bool {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return p.socket.broken != nil
}

// Waiting is how many bytes wait to be read.
func (p *Peer) Waiting() int {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return len(p.socket.out)
}

// Broken tells whether the machine or the network failed the connection: neither end is to blame.
func (p *Peer) Broken() bool {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return p.socket.failed
}

// Room is how many bytes more the network takes for this peer.
func (p *Peer) Room() int {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return max(p.socket.outRoom-len(p.socket.out), 0)
}

// Widen makes the connection's buffers hold so many bytes.
func (p *Peer) Widen(room int) {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.socket.inRoom, p.socket.outRoom = room, room
}

// Unread is how many bytes the engine has not read yet.
func (p *Peer) Unread() int {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	return len(p.socket.in)
}

// CloseWrite ends this half of the stream.
func (p *Peer) CloseWrite() {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.socket.inEnd = true
}

// Close closes the peer's socket. With bytes unread that is a reset.
func (p *Peer) Close() {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	s := p.socket
	if len(s.out) > 0 {
		s.breakOff(syscall.ECONNRESET, p.world)
	}
	s.inEnd, s.gone, s.out = true, true, nil
}

// Reset breaks the connection off.
func (p *Peer) Reset() {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.closed = true
	p.socket.breakOff(syscall.ECONNRESET, p.world)
	p.socket.out = nil
}

// breakOff breaks the connection from the network's side. What had arrived can still be
// read, or not: both happen.
func (s *socket) breakOff(why error, w *World) {
	if s.broken == nil {
		s.broken = why
	}
	if len(s.in) > 0 && w.rng.IntN(2) == 0 {
		s.in = s.in[:w.rng.IntN(len(s.in)+1)]
	}
}

// keeps is how much of what was sent to a peer a reset does not overtake.
func (w *World) keeps(s *socket) int {
	if len(s.out) == 0 {
		return 0
	}
	return w.rng.IntN(len(s.out))
}
