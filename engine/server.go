package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/incoming"
	"github.com/gannet-ws/gannet/engine/internal/maskkey"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/gannet-ws/gannet/engine/internal/wheel"
	"github.com/gannet-ws/gannet/pool"
)

// engine is what a server is made of: loops, and what they share.
type engine struct {
	role       codec.Role
	turn       atomic.Uint64 // of ClientOptions.LocalAddrs
	conf       *config
	own        *route   // of every connection, without a Mux
	mux        *Mux     // nil: there is none
	routes     []*route // of the mux's entries
	origins    minutely // those refused
	handshakes minutely // of TLS, those that failed
	pool       *pool.Pool
	shakes     *netio.Handshakes // of TLS, of all loops
	budget     budget
	stats      engineStats
	dog        watchdog
	number     uint64 // among the process's engines
	workers    *workers
	scheduling scheduling

	mu        sync.Mutex
	started   bool
	native    []*loop                 // on kernel descriptors; none where there are no native loops
	secure    []*loop                 // over TLS on kernel descriptors; made when the first one comes (loop_secure.go)
	bridges   []*loop                 // carrying net.Conns; made when the first one comes
	loops     atomic.Pointer[[]*loop] // all of them
	addresses map[netip.Addr]int      // connections by remote address, if they are limited
	total     int                     // connections
	strangers atomic.Int64            // bridged connections over the limits that linger
	windows   [16]atomic.Int64        // connections that share prepared messages, by the window bits agreed on for what we send
	closing   atomic.Bool             // Shutdown or Close was called

	broadcasting atomic.Int64 // bytes of broadcasts that are under way, for each loop that is not done
	broadcasters atomic.Int64 // connections that wait for that to fall

	stopped  bool
	gone     chan struct{} // closed when closing and no connection is left
	ended    chan struct{} // closed when stopped and the loops and workers have ended
	over     chan struct{} // closed when the first Shutdown or Close is done
	wakeGone sync.Once
	wakeOver sync.Once
	fallback fallback

	deciding sync.WaitGroup // requests by ServeHTTP that are decided about
	deciders sync.Map       // the numbers of the goroutines that are in OnUpgrade for them
	stopping chan struct{}  // closed when stopped

	newNative  func() (netio.System, error) // tests take the native loops away
	background func(f func())               // runs f in a goroutine of its own; the simulator chooses when
}

// Server serves WebSocket connections to a Handler. Its methods may be called from any goroutine.
type Server struct {
	engine
	listening listening
}

// NewServer makes a server. It answers an error that is ErrSyntax and names the option when
// one is out of range, or does not go with another one. Nothing runs until Serve, ListenAndServe or ServeHTTP is called.
//
// It also answers one, which names the type and the method, for a handler of which something would
// silently never be called, or would panic: methods with pointer receivers of a handler that is given
// by value; what is behind an embedded interface (a wrapper, say) and not repeated by the outer type;
// what two embedded types have at the same depth; a method or a field of an optional method's name
// and another type; an OnMessage outside of an OnChunk; an embedded pointer or interface that is nil.
// A Mux is a Handler for each path; see there for its errors.
func NewServer(h Handler, o Options) (*Server, error) {
	if h == nil {
		return nil, misused("NewServer needs a Handler, and this one is nil")
	}
	hooks, err := findHooks(h)
	if err != nil {
		return nil, fmt.Errorf("gannet: NewServer: %w", err)
	}
	conf, err := o.config()
	if err != nil {
		return nil, err
	}
	s := &Server{}
	s.engine.init(conf, hooks)
	if m, ok := h.(*Mux); ok {
		if err := s.engine.useMux(m); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (e *engine) init(conf *config, h hooks) {
	e.conf, e.pool, e.number = conf, pool.New(), enginesMade.Add(1)
	e.own = newRoute(h, conf.limits, conf.entrance)
	e.budget.limit = conf.InboundBudget
	e.gone, e.ended, e.over = make(chan struct{}), make(chan struct{}), make(chan struct{})
	e.stopping = make(chan struct{})
	e.fallback.conns, e.fallback.done, e.fallback.ended = make(chan net.Conn), make(chan struct{}), make(chan struct{})
	e.loops.Store(new([]*loop))
	e.shakes = netio.NewHandshakes(runtime.GOMAXPROCS(0)-conf.Loops, func(f func()) { go f() })
	e.newNative = func() (netio.System, error) { return newNative(conf.buffers()) }
	e.background = func(f func()) { go f() }
	if conf.MaxConnsPerAddress > 0 {
		e.addresses = make(map[netip.Addr]int)
	}
}

// freshSpare gives the loop a new spare, if it has one: straight paths are for frames without a mask.
func (l *loop) freshSpare() {
	if l.engine.conf.Workers == 0 && l.engine.role == codec.RoleServer {
		l.spareOut.Store(new(outgoing.Spare))
	}
}

func newNative(b netio.Buffers) (netio.System, error) {
	n, err := netio.NewNative()
	if err != nil {
		return nil, err
	}
	n.Buffers = b
	return n, nil
}

func (e *engine) log() *slog.Logger { return e.conf.Logger }

// start starts the native loops and the workers, once.
func (e *engine) start() error {
	if err := e.made(); err != nil {
		return err
	}
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
	}
	if e.conf.Workers > 0 {
		e.workers = startWorkers(e.conf.Workers)
	}
	e.native, e.started = fresh, true
	e.publishLoops(fresh)
	e.dog.begin(e)
	for _, l := range fresh {
		go l.run()
	}
	return nil
}

func (e *engine) newLoop(sys netio.System, bridge *netio.Bridge, t *table) *loop {
	if t == nil {
		t = newTable()
	}
	secure, _ := sys.(*netio.Secure)
	l := &loop{
		engine: e, sys: sys, bridge: bridge, secure: secure, table: t, born: time.Now().Add(-sys.Now()),
		slab: make([]byte, slabBytes), share: turnBudget, done: make(chan struct{}),
		lane: incoming.Lane{Role: e.role, Pool: e.pool, Deflate: e.conf.deflate},
		outgoing: outgoing.Lane{
			Sink: sys, Full: netio.ErrAgain, Pool: e.pool, Timed: e.conf.Workers > 0,
			Deflate: e.conf.deflate, Slice: e.conf.slice, Frame: e.conf.frame, Places: e.conf.collecting,
		},
	}
	if e.role == codec.RoleClient {
		l.outgoing.Mask = maskkey.New
	}
	l.freshSpare()
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
	e.dog.begin(e)
	if len(e.bridges) == 0 {
		for range e.conf.Loops {
			b := netio.NewBridge()
			e.bridges = append(e.bridges, e.newLoop(b, b, nil))
		}
		e.publishLoops(e.bridges)
		for _, l := range e.bridges {
			go l.run()
		}
	}
	return leastLoaded(e.bridges), nil
}

// publishLoops shows fresh loops to whoever walks through all of them. None runs yet. Under mu.
func (e *engine) publishLoops(fresh []*loop) {
	all := slices.Clone(e.allLoops())
	for _, l := range fresh {
		l.index = len(all)
		all = append(all, l)
	}
	e.loops.Store(&all)
}

func (e *engine) allLoops() []*loop {
	if all := e.loops.Load(); all != nil {
		return *all
	}
	return nil // of the zero Server
}

// made tells whether the server was made by NewServer.
func (e *engine) made() error {
	if e.conf == nil {
		return misused("this Server or Client was not made by NewServer or NewClient")
	}
	return nil
}

// leastLoaded is the loop for the next connection. It counts as there already, so that
// a burst spreads evenly; adoptReserved takes that back.
func leastLoaded(loops []*loop) *loop {
	best := loops[0]
	for _, l := range loops[1:] {
		if best.lost.Load() || l.conns.Load() < best.conns.Load() && !l.lost.Load() {
			best = l
		}
	}
	best.conns.Add(1)
	return best
}

// adoptReserved is adopt on a loop that leastLoaded chose.
func (l *loop) adoptReserved(a arrival) {
	l.conns.Add(-1)
	l.adopt(a) // last: OnUpgrade may end the goroutine
}

// countedBy is the address that an arrival counts against MaxConnsPerAddress. In front
// of a PROXY header, and of a trusted proxy's request, it has none: the proxy's own is everybody's. See admitProxied.
func (e *engine) countedBy(a *arrival) netip.AddrPort {
	if e.conf.ProxyProtocol || e.conf.trusted.hasPeer(a.peer) {
		return netip.AddrPort{}
	}
	return a.peer
}

// admitProxied takes over the address that a proxy names, and counts it.
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

// countedAs is the address that the connection is counted by; invalid when by none.
func (c *Conn) countedAs() netip.AddrPort {
	if c.flags&counted == 0 {
		return netip.AddrPort{}
	}
	return c.peer.addrPort()
}

// Stats is what the server has done and holds.
func (s *Server) Stats() Stats {
	if s.made() != nil {
		return Stats{}
	}
	return s.snapshot()
}

func (l *loop) terminateEach() {
	l.endDials(func(c *Conn) { c.finish(c.terminated()); c.settle() })
	l.table.each(func(c *Conn) bool {
		if c.loop == l {
			if c.phase == phaseLingering {
				c.endLinger()
			} else {
				c.finish(c.terminated())
				c.settle()
			}
			l.stepped()
		}
		return true
	})
}
