package sim

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// Route is what the network does with an attempt to connect. The zero value has no room for a byte: Peer makes one that is
// connected at once.
type Route struct {
	// Refuses is what Connect answers at once: the machine has no port, no descriptor, no way to there.
	Refuses error
	// After is how long it takes until the attempt is over, and Fails how it ends: nil, it is connected.
	After time.Duration
	Fails error
	// Silent: nobody ever answers.
	Silent bool
	// Peer is the far end, which NewPeer made; nil for a Route without one.
	Peer *Peer
}

var _ netio.Connector = (*System)(nil)

// SetNetwork names what decides about the attempts to connect. It is called inside Connect, and may not call the world but for
// NewPeer, Clock and what the Peer has.
func (w *World) SetNetwork(f func(to netio.Target) Route) { w.network = f }

// NewPeer makes the far end of a connection that the engine is to begin, with buffers of so many bytes in each
// direction. Until a Route has it there is nothing to read from it, and nothing takes what it writes.
func (w *World) NewPeer(toEngine, fromEngine int) *Peer {
	p := &Peer{world: w, socket: &socket{inRoom: toEngine, outRoom: fromEngine, attempt: attempt{pending: true, silent: true}}}
	p.socket.peer = p
	return p
}

// NextAnswer is when the next attempt to connect is over; 0: none is under way that ever is.
func (w *World) NextAnswer() (at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.sockets {
		if k != nil && k.pending && !k.silent && (at == 0 || k.at < at) {
			at = k.at
		}
	}
	return at
}

// attempt is what a socket is while it is connecting.
type attempt struct {
	pending bool          // the engine was not told yet how it came out
	silent  bool          // it never comes out
	at      time.Duration // when it does
	fails   error         // how
	asked   bool          // the engine was told of a failure
}

// over tells whether the attempt has come out.
func (a *attempt) over(now time.Duration) bool { return !a.pending || !a.silent && now >= a.at }

// Connect implements netio.Connector.
func (s *System) Connect(to netio.Target) (int, error) {
	w := s.enter()
	defer w.mu.Unlock()
	if w.network == nil {
		return -1, syscall.ENETUNREACH
	}
	if w.denies(w.faults.NoDescriptors) {
		return -1, syscall.EMFILE
	}
	w.mu.Unlock()
	r := w.network(to)
	w.mu.Lock()
	if r.Refuses != nil {
		return -1, r.Refuses
	}
	k := &socket{}
	if r.Peer != nil {
		k = r.Peer.socket
	}
	k.addr = to.Addr
	if to.Unix != "" {
		k.addr = netip.AddrPort{}
	}
	k.attempt = attempt{pending: true, silent: r.Silent, at: w.now + r.After, fails: r.Fails}
	fd := w.open(k)
	w.note("connect", fd, 0)
	return fd, nil
}

// Connected implements netio.Connector.
func (s *System) Connected(fd int, to netio.Target) error {
	w := s.enter()
	defer w.mu.Unlock()
	k := s.socket("Connected", fd)
	switch {
	case k == nil:
		return syscall.EBADF
	case !k.pending:
		w.breached("Connected on descriptor %d, of which it is known", fd)
		return nil
	case k.asked:
		w.breached("Connected on descriptor %d, which has failed", fd)
		return nil
	case !k.over(w.now):
		return netio.ErrAgain
	}
	w.note("connected", fd, 0)
	if err := k.verdict(); err != nil {
		k.asked = true
		return err
	}
	k.pending = false
	return nil
}

// verdict is how an attempt has come out.
func (k *socket) verdict() error {
	if k.fails != nil {
		return k.fails
	}
	return k.broken
}
