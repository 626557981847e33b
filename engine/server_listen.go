package engine

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

const (
	// turnAwayTime is how long a bridged connection over the limits has to take its 503.
	turnAwayTime = time.Second
	// ownerInterval is how often Serve asks whether its listener was closed by its owner, of which
	// the loops' duplicate does not hear.
	ownerInterval = 100 * time.Millisecond
)

// ListenAndServe listens on network "tcp", "tcp4", "tcp6" or "unix" and serves until
// Shutdown or Close. It answers ErrServerClosed when that returns, and not before as net/http does: a program that
// leaves main then would cut its clients off. On TCP each loop has its own
// socket on the address (SO_REUSEPORT), which is first checked to be free.
func (s *Server) ListenAndServe(network, addr string) error {
	return s.untilOver(s.listenAndServe(network, addr, nil))
}

// listenAndServe is both of them: over TLS with a config.
func (s *Server) listenAndServe(network, addr string, over *tls.Config) error {
	loops, err := s.loopsFor(over)
	if err != nil {
		return err
	}
	if len(loops) == 0 {
		ln, err := net.Listen(network, addr)
		if err != nil {
			return fmt.Errorf("gannet: %w", err)
		}
		return s.serveBridged(ln, over)
	}
	fds, at, err := netio.ListenGroup(network, addr, len(loops), s.conf.buffers())
	if err != nil {
		return fmt.Errorf("gannet: listen %s %s: %w", network, addr, err)
	}
	v := &served{at: at, fds: fds, loops: loops[:len(fds)], done: make(chan struct{})}
	if network == "unix" {
		v.unix = noteSocket(addr)
	}
	return s.serveNative(v, len(fds) < len(loops))
}

// loopsFor are the loops that a listener's connections live on, over TLS with a config; none where there are no native loops.
func (s *Server) loopsFor(over *tls.Config) ([]*loop, error) {
	if err := s.start(); err != nil || over == nil {
		return s.native, err
	}
	return s.secureLoops()
}

// Serve accepts from ln until Shutdown or Close, which close ln. It answers ErrServerClosed when they return, as
// ListenAndServe does. When ln is closed by somebody else, or fails, it answers that error, which is net.ErrClosed in the
// first case; connections that were accepted go on, as those of net/http do, and the server may serve another listener.
// When the poller behind it fails it answers that error, and its connections are lost (see OnClose). TCP and unix listeners are taken over by the loops; any other
// kind is served by goroutines: its connections are bridged. Those of tls.NewListener are such, too: for TLS on the loops there is ServeTLS.
func (s *Server) Serve(ln net.Listener) error {
	if ln == nil {
		return misused("Serve needs a net.Listener, and this one is nil")
	}
	return s.untilOver(s.serve(ln, nil))
}

// serve is both of them: over TLS with a config.
func (s *Server) serve(ln net.Listener, over *tls.Config) error {
	loops, err := s.loopsFor(over)
	if err != nil {
		if err == ErrServerClosed {
			_ = ln.Close()
		}
		return err
	}
	if len(loops) == 0 {
		return s.serveBridged(ln, over)
	}
	fd, ok, err := netio.DupListener(ln)
	if err != nil {
		return fmt.Errorf("gannet: taking over the listener: %w", err)
	}
	if !ok {
		return s.serveBridged(ln, over)
	}
	s.conf.buffers().Set(fd) // who connects from now on inherits them
	v := &served{at: ln.Addr(), fds: []int{fd}, loops: []*loop{aliveLoop(loops)}, ln: ln, file: noteListener(ln), done: make(chan struct{})}
	_, v.stays = systemds.LoadAndDelete(ln)
	if c, ok := ln.(syscall.Conn); ok {
		v.owner, _ = c.SyscallConn()
	}
	return s.serveNative(v, len(loops) > 1)
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
func aliveLoop(loops []*loop) *loop {
	for _, l := range loops {
		if !l.lost.Load() {
			return l
		}
	}
	return loops[0]
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
func (s *Server) serveBridged(ln net.Listener, over *tls.Config) error {
	if over != nil && s.conf.ProxyProtocol {
		_ = ln.Close()
		return misused("ServeTLS: Options.ProxyProtocol needs a TCP or unix listener, and a system whose sockets live on loops: this one's are served by goroutines")
	}
	v := &served{at: ln.Addr(), ln: ln, file: noteListener(ln), done: make(chan struct{})}
	if over != nil {
		ln = tls.NewListener(ln, over)
	}
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
