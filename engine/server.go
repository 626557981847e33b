package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/wheel"
	"github.com/gannet-ws/gannet/pool"
)

// engine is what a server is made of: loops, and what they share.
type engine struct {
	conf    *config
	hooks   hooks
	pool    *pool.Pool
	budget  budget
	stats   engineStats
	workers *workers

	mu        sync.Mutex
	started   bool
	native    []*loop                 // on kernel descriptors; none where there are no native loops
	bridges   []*loop                 // carrying net.Conns; made when the first one comes
	loops     atomic.Pointer[[]*loop] // all of them
	addresses map[netip.Addr]int      // connections by remote address, if they are limited
	total     int                     // connections
	nextLoop  atomic.Uint32
	closing   atomic.Bool // Shutdown or Close was called
	stopped   bool
	gone      chan struct{} // closed when closing and no connection is left
	wakeGone  sync.Once
	fallback  fallback

	newNative func() (netio.System, error) // tests take the native loops away
}

// Server serves WebSocket connections to a Handler. Its methods may be called from any goroutine.
type Server struct {
	engine
	listening listening
}

// NewServer makes a server. It answers an error that is ErrSyntax and names the option when
// one is out of range. Nothing runs until Serve, ListenAndServe or ServeHTTP is called.
func NewServer(h Handler, o Options) (*Server, error) {
	if h == nil {
		return nil, fmt.Errorf("gannet: NewServer needs a Handler: %w", ErrSyntax)
	}
	conf, err := o.config()
	if err != nil {
		return nil, err
	}
	s := &Server{}
	s.engine.init(conf, findHooks(h))
	return s, nil
}

func (e *engine) init(conf *config, h hooks) {
	e.conf, e.hooks, e.pool = conf, h, pool.New()
	e.budget.limit = conf.InboundBudget
	e.gone = make(chan struct{})
	e.fallback.conns, e.fallback.done, e.fallback.ended = make(chan net.Conn), make(chan struct{}), make(chan struct{})
	e.loops.Store(new([]*loop))
	e.newNative = newNative
	if conf.MaxConnsPerAddress > 0 {
		e.addresses = make(map[netip.Addr]int)
	}
}

func newNative() (netio.System, error) { return netio.NewNative() }

func (e *engine) log() *slog.Logger { return e.conf.Logger }

// start starts the native loops and the workers, once.
func (e *engine) start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped || e.closing.Load() {
		return ErrServerClosed
	}
	if e.started {
		return nil
	}
	var fresh []*loop
	for i := range e.conf.Loops {
		sys, err := e.newNative()
		if errors.Is(err, errors.ErrUnsupported) {
			break
		}
		if err != nil {
			for _, l := range fresh {
				_ = l.sys.Release()
			}
			return fmt.Errorf("gannet: starting a loop: %w", err)
		}
		var shared *table
		if i > 0 {
			shared = fresh[0].table
		}
		fresh = append(fresh, e.newLoop(sys, nil, shared))
		fresh[i].index = i
	}
	if e.conf.Workers > 0 {
		e.workers = startWorkers(e.conf.Workers)
	}
	e.native, e.started = fresh, true
	e.publishLoops()
	for _, l := range fresh {
		go l.run()
	}
	return nil
}

func (e *engine) newLoop(sys netio.System, bridge *netio.Bridge, t *table) *loop {
	if t == nil {
		t = newTable()
	}
	l := &loop{
		engine: e, sys: sys, bridge: bridge, table: t,
		slab: make([]byte, slabHeadroom+slabBytes), done: make(chan struct{}),
	}
	l.wheel = wheel.New(wheelTick, wheelSlots, func(fd int32) *wheel.Node { return &l.table.get(int(fd)).timer })
	return l
}

// bridgeLoop is the loop that the next net.Conn goes to.
func (e *engine) bridgeLoop() (*loop, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return nil, ErrServerClosed
	}
	for len(e.bridges) < e.conf.Loops {
		b := netio.NewBridge()
		l := e.newLoop(b, b, nil)
		l.index = len(e.native) + len(e.bridges)
		e.bridges = append(e.bridges, l)
		go l.run()
	}
	e.publishLoops()
	return leastLoaded(e.bridges), nil
}

func (e *engine) publishLoops() {
	all := append(append([]*loop(nil), e.native...), e.bridges...)
	e.loops.Store(&all)
}

func (e *engine) allLoops() []*loop { return *e.loops.Load() }

// leastLoaded is the loop for the next connection. It counts as there already, so that
// a burst spreads evenly; adoptReserved takes that back.
func leastLoaded(loops []*loop) *loop {
	best := loops[0]
	for _, l := range loops[1:] {
		if l.conns.Load() < best.conns.Load() {
			best = l
		}
	}
	best.conns.Add(1)
	return best
}

// adoptReserved is adopt on a loop that leastLoaded chose.
func (l *loop) adoptReserved(a arrival) {
	l.adopt(a)
	l.conns.Add(-1)
}

// arrival is a connection that is about to be taken over.
type arrival struct {
	fd    int
	peer  netip.AddrPort
	early []byte // bytes that were read already
	http  *httpArrival
	tls   bool
}

// admitConn counts a connection against the limits; refused ones must be closed.
func (e *engine) admitConn(peer netip.AddrPort) (reason string, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch key := addressKey(peer); {
	case e.conf.MaxConns > 0 && e.total >= e.conf.MaxConns:
		return "max-conns", false
	case e.addresses != nil && peer.IsValid() && e.addresses[key] >= e.conf.MaxConnsPerAddress:
		return "max-conns-per-address", false
	case e.addresses != nil && peer.IsValid():
		e.addresses[key]++
	}
	e.total++
	e.stats.accepted.Add(1)
	return "", true
}

// addressKey is what MaxConnsPerAddress counts by: a host has a whole /64 of IPv6.
func addressKey(peer netip.AddrPort) netip.Addr {
	a := peer.Addr().Unmap()
	if a.Is6() {
		p, err := a.WithZone("").Prefix(64)
		if err == nil {
			return p.Addr()
		}
	}
	return a
}

// uncount takes a connection off the limits.
func (e *engine) uncount(peer netip.AddrPort) {
	e.mu.Lock()
	e.total--
	if e.addresses != nil && peer.IsValid() {
		key := addressKey(peer)
		if e.addresses[key]--; e.addresses[key] <= 0 {
			delete(e.addresses, key)
		}
	}
	last := e.total == 0 && e.closing.Load()
	e.mu.Unlock()
	if last {
		e.wakeGone.Do(func() { close(e.gone) })
	}
}

// countedBy is the address that an arrival counts against MaxConnsPerAddress. In front
// of a PROXY header it has none: the proxy's own is everybody's. See admitProxied.
func (e *engine) countedBy(a *arrival) netip.AddrPort {
	if e.conf.ProxyProtocol && a.http == nil {
		return netip.AddrPort{}
	}
	return a.peer
}

// admitProxied takes over the address that a PROXY header names, and counts it.
func (e *engine) admitProxied(c *Conn, peer netip.AddrPort) bool {
	c.peer = newPeerAddr(peer)
	if e.addresses == nil {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	key := addressKey(peer)
	if e.addresses[key] >= e.conf.MaxConnsPerAddress {
		return false
	}
	e.addresses[key]++
	c.flags |= counted
	return true
}

// connGone: a connection has left its loop.
func (e *engine) connGone(c *Conn) {
	if c.flags&bridged != 0 {
		e.stats.bridged.Add(-1)
	}
	e.uncount(c.countedAs())
}

// countedAs is the address that the connection is counted by; invalid when by none.
func (c *Conn) countedAs() netip.AddrPort {
	if c.flags&counted == 0 {
		return netip.AddrPort{}
	}
	return c.peer.addrPort()
}

// closed notes the end of a connection that was open.
func (e *engine) closed(c *Conn, was ReadyState, k closing) {
	if was == Open {
		e.stats.open.Add(-1)
	} else {
		e.stats.closing.Add(-1)
	}
	e.stats.closes.add(k.code)
	e.log().Debug("gannet: closed", "code", k.code, "reason", k.reason, "clean", k.clean, "err", k.err, "remote", c.peer.addrPort())
}

// Conns iterates over the connections that are OPEN or CLOSING. Those that come or go
// meanwhile may or may not be seen. Any goroutine.
func (s *Server) Conns() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		seen := map[*table]bool{}
		for _, l := range s.allLoops() {
			if seen[l.table] {
				continue
			}
			seen[l.table] = true
			if !l.table.each(func(c *Conn) bool {
				if st := c.ReadyState(); st != Open && st != Closing {
					return true
				}
				return yield(c)
			}) {
				return
			}
		}
	}
}

// Broadcast sends p to every connection that keep accepts (nil: all), each loop to its
// own: it returns before they have. keep runs on the loops and must not block. A
// connection that refuses the message (closing, or over MaxBufferedAmount) is passed over.
func (s *Server) Broadcast(p *Prepared, keep func(*Conn) bool) {
	for _, l := range s.allLoops() {
		l.post(task{send: p, keep: keep})
	}
}

func (l *loop) broadcast(p *Prepared, keep func(*Conn) bool) {
	l.table.each(func(c *Conn) bool {
		if c.loop == l && c.ReadyState() == Open && (keep == nil || l.keeps(c, keep)) {
			_ = c.SendPrepared(p)
		}
		return true
	})
}

// keeps calls the user's filter; its panic is no reason to lose the loop.
func (l *loop) keeps(c *Conn, keep func(*Conn) bool) (yes bool) {
	defer func() {
		if r := recover(); r != nil {
			l.engine.panicked(c, r)
			yes = false
		}
	}()
	return keep(c)
}

// Stats is what the server has done and holds.
func (s *Server) Stats() Stats { return s.snapshot() }

// Shutdown stops accepting, closes every connection with 1001 once what is queued for it
// has left, lets Fallback finish the requests that it has, and waits until all are gone;
// a handshake that OnUpgrade put off (Later) may still be decided. When ctx ends first it terminates the rest and
// answers ctx's error. It answers ErrOnLoop on a loop.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.onLoop() {
		return ErrOnLoop
	}
	s.beginClosing()
	s.listening.closeAll(&s.engine, true)
	for _, l := range s.allLoops() {
		l.post(task{call: l.goAway})
	}
	s.fallback.shutDown(ctx)
	s.checkGone()
	var err error
	select {
	case <-s.gone:
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.stop()
	return err
}

// Close ends every connection at once, and the server. It answers ErrOnLoop on a loop.
func (s *Server) Close() error {
	if s.onLoop() {
		return ErrOnLoop
	}
	s.beginClosing()
	s.listening.closeAll(&s.engine, false)
	s.stop()
	return nil
}

func (e *engine) beginClosing() {
	e.mu.Lock()
	e.closing.Store(true)
	e.mu.Unlock()
}

func (e *engine) checkGone() {
	e.mu.Lock()
	none := e.total == 0
	e.mu.Unlock()
	if none {
		e.wakeGone.Do(func() { close(e.gone) })
	}
}

// goAway closes the loop's connections with 1001, and refuses those that have not made
// a request yet: an idle one would hold a Shutdown up until HandshakeTimeout. What waits
// for a late decision is the user's to end.
func (l *loop) goAway() {
	l.table.each(func(c *Conn) bool {
		switch {
		case c.loop != l:
		case c.ReadyState() == Open:
			_ = c.CloseWith(codeGoingAway, "server shutting down")
		case c.ReadyState() == Connecting && (c.opening == nil || c.opening.late == nil):
			c.refuse(shuttingDown)
		}
		return true
	})
}

// stop terminates what is left and ends the loops and the workers.
func (e *engine) stop() {
	e.mu.Lock()
	if e.stopped {
		e.mu.Unlock()
		e.waitLoops()
		return
	}
	e.stopped = true
	e.mu.Unlock()
	for _, l := range e.allLoops() {
		l.post(task{call: l.terminateAll})
	}
	e.fallback.stop()
	e.waitLoops()
	if e.workers != nil {
		e.workers.stop()
	}
}

func (e *engine) waitLoops() {
	for _, l := range e.allLoops() {
		<-l.done
	}
}

// terminateAll ends the loop's connections and then the loop itself. A connection whose
// lock is taken ends when its holder lets go, so the loop turns until none is left.
func (l *loop) terminateAll() {
	l.terminateEach()
	if l.conns.Load() > 0 {
		time.AfterFunc(time.Millisecond, func() { l.post(task{call: l.terminateAll}) })
		return
	}
	l.stop = true
}

func (l *loop) terminateEach() {
	l.table.each(func(c *Conn) bool {
		if c.loop == l {
			if c.flags&lingering != 0 {
				c.endLinger()
			} else {
				c.finish(closing{code: codeAbnormal, err: ErrTerminated, abort: true, local: true})
				c.settleTurn()
			}
		}
		return true
	})
}

// onLoop tells whether the caller runs on one of the engine's loops.
func (e *engine) onLoop() bool {
	id := goroutineID()
	for _, l := range e.allLoops() {
		if l.goroutine.Load() == id {
			return true
		}
	}
	return false
}

// goroutineID is the number that runtime.Stack gives the calling goroutine. It is slow
// (a microsecond), and only calls that are about to wait ask for it.
func goroutineID() uint64 {
	var buf [32]byte
	n := runtime.Stack(buf[:], false)
	var id uint64
	for _, b := range buf[len("goroutine "):n] {
		if b < '0' || b > '9' {
			break
		}
		id = id*10 + uint64(b-'0')
	}
	return id
}

// Addr is the address of the first listener, nil before there is one.
func (s *Server) Addr() net.Addr { return s.listening.addr() }
