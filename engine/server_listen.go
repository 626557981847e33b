package engine

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// listener is a listening descriptor on a loop.
type listener struct {
	fd      int
	spread  bool // connections go to the least loaded loop, not to this one
	pausing time.Duration
	until   time.Duration // it left the poller: descriptors or memory had run out
	gone    bool          // it left the poller for good, but not the loop yet: nobody is accepted from it
	of      *served
}

const (
	// acceptsPerTurn keeps a flood of connections from starving those that are open.
	acceptsPerTurn = 64
	minAcceptPause = 20 * time.Millisecond
	maxAcceptPause = time.Second
	// turnAwayTime is how long a bridged connection over the limits has to take its 503.
	turnAwayTime = time.Second
	// maxStrangers is how many connections over the limits may linger on a loop: a limit that is
	// passed by a flood must not cost descriptors without end. The others may meet a reset before they read their 503.
	maxStrangers = 64
	// ownerInterval is how often Serve asks whether its listener was closed by its owner, of which
	// the loops' duplicate does not hear.
	ownerInterval = 100 * time.Millisecond
)

// acceptOn accepts what waits on a listening descriptor.
func (l *loop) acceptOn(fd int) {
	for _, ln := range l.listeners {
		if ln.fd == fd && ln.until == 0 && !ln.gone {
			if ln.of != nil && ln.of.retires(l.engine) {
				ln.gone = true
				l.sys.Remove(fd)
				return
			}
			l.look()
			l.accept(ln, acceptsPerTurn)
			return
		}
	}
}

// accept takes up to most connections, and reports whether the queue is empty.
func (l *loop) accept(ln *listener, most int) (empty bool) {
	for range most {
		fd, peer, err := l.sys.Accept(ln.fd)
		if err == netio.ErrAgain {
			ln.pausing = 0
			return true
		}
		if err != nil {
			if ln.until == 0 {
				l.sys.Remove(ln.fd)
			}
			l.pauseListener(ln, err)
			return true
		}
		ln.pausing = 0
		l.engine.place(l, ln.spread, arrival{fd: fd, peer: peer})
		l.stepped()
	}
	return false
}

// place hands an accepted descriptor to its loop.
func (e *engine) place(l *loop, spread bool, a arrival) {
	if reason, ok := e.admitConn(&a); !ok {
		e.turnAway(l, a.fd, reason)
		return
	}
	if !spread {
		l.adopt(a)
		return
	}
	to := leastLoaded(e.native)
	if to == l {
		l.adoptReserved(a)
		return
	}
	e.send(l, to, a)
}

// send hands a descriptor from one loop to another. It is a function of its own because
// what a closure takes along is allocated, even where the closure is not made.
func (e *engine) send(from, to *loop, a arrival) {
	if !to.post(task{call: func() { to.adoptReserved(a) }}) {
		e.uncount(e.countedBy(&a))
		_ = from.sys.Abort(a.fd)
	}
}

// tooMany is the refusal of a connection over a limit.
func tooMany(reason string) *handshake.Refusal { return unavailable(reason, "Too many connections") }

// turnAway answers 503 to a connection over the limits, without waiting for its request.
func (e *engine) turnAway(l *loop, fd int, reason string) {
	e.stats.refusals.add(reason)
	l.look()
	_, _ = l.sys.Write(fd, tooMany(reason).Append(nil, l.date.at(l.now), false))
	_ = l.sys.CloseWrite(fd)
	if l.strangers >= maxStrangers || l.stop || l.sys.Add(fd) != nil {
		l.bury(fd, false)
		return
	}
	c := &Conn{loop: l, fd: int32(fd), phase: phaseLingering, flags: stranger, watched: netio.Readable}
	c.limits.Store(e.own.limits)
	c.state.Store(uint32(Closed))
	c.times.begin(l.now)
	l.strangers++
	l.table.set(fd, c)
	l.conns.Add(1)
	c.freshProgress(l.now + lingerBound)
	c.wake(lingerTime / 4)
}

// pauseListener: descriptors or memory have run out (EMFILE, ENFILE, ENOBUFS, ENOMEM). A
// level-triggered listener would be reported again at once, so it has left the poller and
// comes back by timer, after twice as long each time. Open connections never notice.
func (l *loop) pauseListener(ln *listener, err error) {
	l.engine.stats.acceptErrors.Add(1)
	if ln.pausing == 0 {
		l.engine.log().Warn("gannet: accept failed; it is tried again", "err", err)
	}
	ln.pausing = min(max(2*ln.pausing, minAcceptPause), maxAcceptPause)
	ln.until = l.now + ln.pausing
	l.armTimer()
}

// reopenListeners brings paused listeners back whose time has come.
func (l *loop) reopenListeners() {
	for _, ln := range l.listeners {
		if ln.until == 0 || ln.until > l.now {
			continue
		}
		ln.until = 0
		if err := l.sys.Add(ln.fd); err != nil {
			l.pauseListener(ln, err)
		}
	}
}

func (l *loop) nextListener() (at time.Duration, ok bool) {
	for _, ln := range l.listeners {
		if ln.until != 0 && (!ok || ln.until < at) {
			at, ok = ln.until, true
		}
	}
	return at, ok
}

// closeListener takes a listener off the loop; with drain, what waits in its queue is
// accepted first, to be refused with a proper answer instead of a reset. It calls closed when the descriptor
// is: until then the kernel still greets whoever comes, and the address is taken.
func (l *loop) closeListener(fd int, drain bool, closed func()) {
	for i, ln := range l.listeners {
		if ln.fd != fd {
			continue
		}
		l.look()
		if drain {
			l.accept(ln, 1<<16)
		}
		if ln.until == 0 && !ln.gone {
			l.sys.Remove(fd)
		}
		l.listeners = append(l.listeners[:i], l.listeners[i+1:]...)
		l.dig(grave{fd: fd, then: closed})
		return
	}
	closed() // with a poller that failed (loop_lost.go)
}

// ListenAndServe listens on network "tcp", "tcp4", "tcp6" or "unix" and serves until
// Shutdown or Close. It answers ErrServerClosed when that returns, and not before as net/http does: a program that
// leaves main then would cut its clients off. On TCP each loop has its own
// socket on the address (SO_REUSEPORT), which is first checked to be free.
func (s *Server) ListenAndServe(network, addr string) error {
	return s.untilOver(s.listenAndServe(network, addr))
}

func (s *Server) listenAndServe(network, addr string) error {
	if err := s.start(); err != nil {
		return err
	}
	if len(s.native) == 0 {
		ln, err := net.Listen(network, addr)
		if err != nil {
			return fmt.Errorf("gannet: %w", err)
		}
		return s.serveBridged(ln)
	}
	fds, at, err := netio.ListenGroup(network, addr, len(s.native), s.conf.buffers())
	if err != nil {
		return fmt.Errorf("gannet: listen %s %s: %w", network, addr, err)
	}
	v := &served{at: at, fds: fds, loops: s.native[:len(fds)], done: make(chan struct{})}
	if network == "unix" {
		v.unix = noteSocket(addr)
	}
	return s.serveNative(v, len(fds) < len(s.native))
}

// Serve accepts from ln until Shutdown or Close, which close ln. It answers ErrServerClosed when they return, as
// ListenAndServe does. When ln is closed by somebody else, or fails, it answers that error, which is net.ErrClosed in the
// first case; connections that were accepted go on, as those of net/http do, and the server may serve another listener.
// When the poller behind it fails it answers that error, and its connections are lost (see OnClose). TCP and unix listeners are taken over by the loops; any other
// kind (tls.NewListener's, say) is served by goroutines: its connections are bridged.
func (s *Server) Serve(ln net.Listener) error { return s.untilOver(s.serve(ln)) }

func (s *Server) serve(ln net.Listener) error {
	if ln == nil {
		return misused("Serve needs a net.Listener, and this one is nil")
	}
	if err := s.start(); err != nil {
		if err == ErrServerClosed {
			_ = ln.Close()
		}
		return err
	}
	if len(s.native) == 0 {
		return s.serveBridged(ln)
	}
	fd, ok, err := netio.DupListener(ln)
	if err != nil {
		return fmt.Errorf("gannet: taking over the listener: %w", err)
	}
	if !ok {
		return s.serveBridged(ln)
	}
	s.conf.buffers().Set(fd) // who connects from now on inherits them
	v := &served{at: ln.Addr(), fds: []int{fd}, loops: []*loop{s.aliveLoop()}, ln: ln, file: noteListener(ln), done: make(chan struct{})}
	_, v.stays = systemds.LoadAndDelete(ln)
	if c, ok := ln.(syscall.Conn); ok {
		v.owner, _ = c.SyscallConn()
	}
	return s.serveNative(v, len(s.native) > 1)
}

func (s *Server) serveNative(v *served, spread bool) error {
	v.left.Store(int32(len(v.fds)))
	begin := func() {
		for i, fd := range v.fds {
			l := v.loops[i]
			if !l.post(task{call: func() { l.addListener(v, fd, spread) }}) {
				_ = l.sys.Close(fd)
				v.lose(l, errLoopLost)
			}
		}
	}
	if !s.listening.add(v, begin) {
		for i, fd := range v.fds { // no loop has seen them
			_ = v.loops[i].sys.Close(fd)
		}
		v.fds = nil
		v.end(ErrServerClosed, false)
		return ErrServerClosed
	}
	defer s.listening.remove(v)
	return v.wait()
}

// aliveLoop is the first loop whose poller works.
func (e *engine) aliveLoop() *loop {
	for _, l := range e.native {
		if !l.lost.Load() {
			return l
		}
	}
	return e.native[0]
}

// errLoopLost: there is no loop any more that a listener could live on.
var errLoopLost = errors.New("gannet: the poller of this loop has failed")

func (l *loop) addListener(v *served, fd int, spread bool) {
	if l.lost.Load() {
		_ = l.sys.Close(fd)
		v.lose(l, errLoopLost)
		return
	}
	ln := &listener{fd: fd, spread: spread, of: v}
	l.listeners = append(l.listeners, ln)
	if err := l.sys.Add(fd); err != nil {
		l.pauseListener(ln, err)
	}
}

// serveBridged accepts on this goroutine, for listeners that no loop can take over.
func (s *Server) serveBridged(ln net.Listener) error {
	v := &served{at: ln.Addr(), ln: ln, file: noteListener(ln), done: make(chan struct{})}
	if !s.listening.add(v, func() {}) {
		_ = ln.Close()
		return ErrServerClosed
	}
	defer s.listening.remove(v)
	pause := time.Duration(0)
	for {
		nc, err := ln.Accept()
		if err == nil {
			pause = 0
			s.adoptBridged(nc, arrival{peer: addrPortOf(nc.RemoteAddr())})
			continue
		}
		if !isTransient(err) {
			if !s.closing.Load() { // else Shutdown is about to say why
				v.end(acceptError(err), false)
			}
			<-v.done
			return v.answer()
		}
		s.stats.acceptErrors.Add(1)
		if pause == 0 {
			s.log().Warn("gannet: accept failed; it is tried again", "err", err)
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		select {
		case <-time.After(pause):
		case <-v.done:
			return v.answer()
		}
	}
}

func isTransient(err error) bool {
	for _, no := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// adoptBridged has goroutines carry nc.
func (e *engine) adoptBridged(nc net.Conn, a arrival) {
	if reason, ok := e.admitConn(&a); !ok {
		e.stats.refusals.add(reason)
		go e.turnAwayBridged(nc, reason)
		return
	}
	l, err := e.bridgeLoop()
	if err != nil {
		e.uncount(e.countedBy(&a))
		_ = nc.Close()
		return
	}
	e.conf.buffers().SetOn(nc)
	_, a.tls = nc.(tlsConn)
	if !l.post(task{call: func() { a.fd = l.bridge.Attach(nc); l.adoptReserved(a) }}) {
		e.uncount(e.countedBy(&a))
		_ = nc.Close()
	}
}

// turnAwayBridged answers 503. Not on the goroutine that accepts: a TLS handshake comes
// first, and the peer may take its time.
func (e *engine) turnAwayBridged(nc net.Conn, reason string) {
	var now date
	_ = nc.SetDeadline(time.Now().Add(turnAwayTime))
	_, _ = nc.Write(tooMany(reason).Append(nil, now.at(0), false))
	if w, ok := nc.(interface{ CloseWrite() error }); ok && w.CloseWrite() == nil {
		if e.strangers.Add(1) <= maxStrangers {
			lingerOn(nc)
		}
		e.strangers.Add(-1)
	}
	_ = nc.Close()
}

// lingerOn reads and drops what nc's peer still says, as Conn.linger does.
func lingerOn(nc net.Conn) {
	var dropped [4 << 10]byte
	for bound := time.Now().Add(lingerBound); ; {
		until := time.Now().Add(lingerTime)
		if bound.Before(until) {
			until = bound
		}
		_ = nc.SetReadDeadline(until)
		if _, err := nc.Read(dropped[:]); err != nil {
			return
		}
	}
}

func addrPortOf(a net.Addr) netip.AddrPort {
	if t, ok := a.(interface{ AddrPort() netip.AddrPort }); ok {
		return t.AddrPort()
	}
	return netip.AddrPort{}
}
