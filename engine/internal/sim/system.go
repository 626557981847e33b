package sim

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// System is one loop's view of the world. It implements netio.System.
type System struct {
	world *World
	woken bool
	timer time.Duration
	turn  uint64
	// turning: between the events of a turn; only then can a close come too early.
	turning  bool
	released bool
	calls    int  // since the turn began
	events   int  // so far
	inEvent  bool // one is being served
}

// mostCalls is more system calls than any sane turn makes.
const mostCalls = 1 << 18

var _ netio.System = (*System)(nil)

// NewSystem makes a poller.
func (w *World) NewSystem() *System { return &System{world: w} }

// enter begins a system call: others may act first, and the world is locked.
func (s *System) enter() *World {
	w := s.world
	w.mu.Lock()
	if s.calls++; s.calls > mostCalls {
		w.mu.Unlock()
		panic("sim: a turn without end")
	}
	if w.preempt == nil || !s.turning || w.preempting || !w.chance(w.faults.Preempt) {
		return w
	}
	w.mu.Unlock()
	w.Elsewhere(w.preempt)
	w.mu.Lock()
	return w
}

// socket is the open connection or listener fd, or a breach.
func (s *System) socket(call string, fd int) *socket {
	k := s.world.at(fd)
	if k == nil {
		s.world.breached("%s on descriptor %d, which is closed", call, fd)
	}
	return k
}

// Wake implements netio.System.
func (s *System) Wake() {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	s.woken = true
}

// SetTimer implements netio.System.
func (s *System) SetTimer(at time.Duration) {
	w := s.enter()
	defer w.mu.Unlock()
	s.timer = at
}

// Now implements netio.System. Time goes on while a turn lasts.
func (s *System) Now() time.Duration {
	w := s.enter()
	defer w.mu.Unlock()
	if s.turning && w.chance(w.faults.SlowClock) {
		w.now += time.Duration(w.rng.IntN(int(2 * time.Millisecond)))
	}
	return w.now
}

// Add implements netio.System.
func (s *System) Add(fd int) error {
	w := s.enter()
	defer w.mu.Unlock()
	k := s.socket("Add", fd)
	switch {
	case k == nil:
		return syscall.EBADF
	case k.sys != nil:
		w.breached("Add of descriptor %d, which a poller has already", fd)
		return syscall.EEXIST
	case w.denies(w.faults.NoMemory):
		return errMemory
	}
	k.sys, k.watched = s, netio.Readable
	w.note("add", fd, 0)
	return nil
}

// Interest implements netio.System.
func (s *System) Interest(fd int, was, now netio.Interest) error {
	w := s.enter()
	defer w.mu.Unlock()
	k := s.socket("Interest", fd)
	if k == nil {
		return syscall.EBADF
	}
	first := k.pending && k.sys == nil && was == 0 // netio.Connector: this adds it
	if !first && (k.sys != s || k.watched != was) {
		w.breached("Interest(%d, was %d): the poller has it as %d", fd, was, k.watched)
		return syscall.ENOENT
	}
	if w.denies(w.faults.NoMemory) {
		k.failed = !first
		return errMemory
	}
	k.sys, k.watched = s, now
	w.note("interest", fd, int(now))
	return nil
}

// Remove implements netio.System.
func (s *System) Remove(fd int) {
	w := s.enter()
	defer w.mu.Unlock()
	k := s.socket("Remove", fd)
	if k == nil {
		return
	}
	if k.sys != s {
		w.breached("Remove of descriptor %d, which this poller does not have", fd)
		return
	}
	k.sys, k.left, k.leftIn, k.leftAt = nil, s, s.turn, s.events
	w.note("remove", fd, 0)
}

// Accept implements netio.System.
func (s *System) Accept(listener int) (int, netip.AddrPort, error) {
	w := s.enter()
	defer w.mu.Unlock()
	ln := s.socket("Accept", listener)
	switch {
	case ln == nil:
		return 0, netip.AddrPort{}, syscall.EBADF
	case !ln.listening:
		w.breached("Accept on descriptor %d, which does not listen", listener)
		return 0, netip.AddrPort{}, syscall.EINVAL
	case len(ln.backlog) == 0:
		return 0, netip.AddrPort{}, netio.ErrAgain
	case w.denies(w.faults.NoDescriptors):
		return 0, netip.AddrPort{}, syscall.EMFILE
	}
	k := ln.backlog[0]
	ln.backlog = ln.backlog[1:]
	fd := w.open(k)
	w.note("accept", fd, 0)
	return fd, k.addr, nil
}

// stream is a connection to read from or write to, unless this call is to fail.
func (s *System) stream(call string, fd int) (*socket, error) {
	w := s.world
	k := s.socket(call, fd)
	switch {
	case k == nil:
		return nil, syscall.EBADF
	case k.listening:
		w.breached("%s on descriptor %d, which listens", call, fd)
		return nil, syscall.ENOTCONN
	case k.pending:
		w.breached("%s on descriptor %d, which is not known to be connected", call, fd)
		return nil, syscall.ENOTCONN
	case s.inEvent && !w.preempting && k.sys == nil && k.left == s && k.leftAt == s.events:
		w.breached("%s on descriptor %d, which left its poller in the same event", call, fd)
		return nil, syscall.EBADF
	case w.chance(w.faults.Break):
		k.failed = true
		k.breakOff(syscall.ETIMEDOUT, w)
	case w.chance(w.faults.Again) && k.broken == nil:
		return nil, netio.ErrAgain
	}
	return k, nil
}

// Read implements netio.System.
func (s *System) Read(fd int, p []byte) (int, error) {
	w := s.enter()
	defer w.mu.Unlock()
	if len(p) == 0 {
		w.breached("Read on descriptor %d with no room", fd)
	}
	k, err := s.stream("Read", fd)
	if err != nil {
		return 0, err
	}
	n, err := k.read(p, w.some)
	w.note("read", fd, n)
	return n, err
}

// Write implements netio.System.
func (s *System) Write(fd int, p []byte) (int, error) { return s.send("Write", fd, [][]byte{p}) }

// Writev implements netio.System.
func (s *System) Writev(fd int, v [][]byte) (int, error) { return s.send("Writev", fd, v) }

func (s *System) send(call string, fd int, v [][]byte) (int, error) {
	w := s.enter()
	defer w.mu.Unlock()
	total := 0
	for _, p := range v {
		total += len(p)
	}
	if total == 0 {
		w.breached("%s of nothing on descriptor %d", call, fd)
		return 0, syscall.EINVAL
	}
	k, err := s.stream(call, fd)
	if err != nil {
		return 0, err
	}
	room, err := k.writable()
	if err != nil {
		return 0, err
	}
	n := w.some(min(total, room))
	k.write(v, n)
	w.note("write", fd, n)
	return n, nil
}

// CloseWrite implements netio.System.
func (s *System) CloseWrite(fd int) error {
	w := s.enter()
	defer w.mu.Unlock()
	k := s.socket("CloseWrite", fd)
	if k == nil {
		return syscall.EBADF
	}
	if k.broken != nil {
		return syscall.ENOTCONN
	}
	k.outEnd = true
	w.note("closewrite", fd, 0)
	return nil
}

// Probe implements netio.System.
func (s *System) Probe(fd int) error {
	w := s.enter()
	defer w.mu.Unlock()
	k := s.socket("Probe", fd)
	if k == nil {
		return syscall.EBADF
	}
	return k.probe()
}

// Unacked implements netio.System: what the peer has not read, and what it has. Asking leaves no
// trace in the world's history.
func (s *System) Unacked(fd int) (waiting int, taken uint64) {
	w := s.enter()
	defer w.mu.Unlock()
	k := s.socket("Unacked", fd)
	if k == nil || k.gone || k.broken != nil {
		return 0, 0
	}
	return len(k.out), k.taken
}

// Close implements netio.System. As on Linux, closing with bytes unread is a reset.
func (s *System) Close(fd int) error { return s.close("Close", fd, false) }

// Abort implements netio.System.
func (s *System) Abort(fd int) error { return s.close("Abort", fd, true) }

func (s *System) close(call string, fd int, abort bool) error {
	w := s.enter()
	defer w.mu.Unlock()
	k := s.socket(call, fd)
	if k == nil {
		return syscall.EBADF
	}
	if k.sys != nil {
		w.breached("%s of descriptor %d, which a poller still has", call, fd)
		k.sys = nil
	}
	if k.left == s && s.turning && k.leftIn == s.turn {
		w.breached("%s of descriptor %d while this turn's events can still name it", call, fd)
	}
	k.closed = true
	w.sockets[fd] = nil
	w.note(call, fd, 0)
	for _, waiting := range k.backlog {
		waiting.closed = true
		waiting.reset(0)
	}
	if k.peer != nil && (abort || len(k.in) > 0) {
		k.reset(w.keeps(k))
	}
	return nil
}

// Release implements netio.System.
func (s *System) Release() error {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	if s.released {
		s.world.breached("a poller was released twice")
	}
	s.released = true
	return nil
}
