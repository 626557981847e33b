package engine

import (
	"context"
	"net"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/incoming"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/gannet-ws/gannet/engine/internal/wheel"
)

const (
	// slabBytes is what one read takes at most: each loop has one slab that every
	// connection's bytes pass through, so idle connections have no buffer.
	slabBytes = 512 << 10
)

// loop is one goroutine around one poller, and everything that it alone touches.
type loop struct {
	engine *engine
	index  int
	sys    netio.System
	bridge *netio.Bridge // sys, when it carries net.Conns
	table  *table
	wheel  *wheel.Wheel
	slab   []byte
	spare  *inbound          // for the connection at hand, when it has none
	req    handshake.Request // for the handshake at hand
	plain  Upgrade           // for a handshake that nobody is asked about
	date   date              // of its answers

	born       time.Time     // when the clock began
	now        time.Duration // as the clock was last read
	timed      bool          // when this event began
	untimed    int           // how many events may go without a look
	inCallback bool          // a handler's code is running: a panic is its own
	entered    bool          // the connection at hand is corked
	at         *Conn         // which that is
	turning    *inbound      // of the connection whose turn it is; nil between turns
	pace       pace          // of its turn
	spent      time.Duration // by turns that were cut short, since the last wake: what they left asks for one
	messages   uint64        // received in this turn
	bytes      uint64
	lane       incoming.Lane // what its connections share when they receive

	graves     graves // what it has to do beside its events: see loop_work.go
	mail       mail
	ready      readyConns
	broadcasts broadcasts
	resting    resting
	next       int           // the kind whose step is next
	share      time.Duration // how long a turn may take

	given        []handedCall // what the connection at hand gets of broadcasts
	asked        *Conn        // which that is
	broadcasters []*Conn      // that wait until there are fewer

	dials     *dialState // those without a transport, a list
	listeners []*listener
	strangers int // connections over the limits that linger
	armed     time.Duration

	outgoing  outgoing.Lane                  // of its connections
	spareOut  atomic.Pointer[outgoing.Spare] // for the connection that is corked (Conn.spare); nil with workers
	sent      outgoing.Tally                 // in this batch
	mailbox   mailbox
	serves    *Conn         // whose todo is served
	serving   uint32        // those bits of it
	exit      exit          // a callback ended the goroutine
	ending    bool          // the poller was left
	doomed    atomic.Bool   // the inbound budget chose one of ours
	goroutine atomic.Uint64 // its number, for onLoop
	stats     loopStats
	watched   watched
	conns     atomic.Int64 // in the table
	lost      atomic.Bool  // its poller failed: nobody is sent to it any more
	stop      bool
	done      chan struct{}
	answer    handshake.Answer // for a client's handshake at hand; here it moves nothing that each message needs
	secure    *netio.Secure    // sys, when it carries TLS; here for the same reason
}

func (l *loop) run() {
	defer l.succeed()
	id := goroutineID()
	l.goroutine.Store(id)
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(loopLabel, l.label())))
	loopGoroutines.Store(id, nil)
	defer loopGoroutines.Delete(id)
	l.takeOver()
	if !l.ending {
		if err := l.sys.Run(l); err != nil {
			l.lose(err)
		}
		l.ending = true
	}
	l.end()
	l.watched.forget()
	close(l.done)
}

// end gives back what the loop still has: first what letters that came too late for the
// last turn bring, a connection to adopt among them.
func (l *loop) end() {
	for again := true; again; again = !l.mailbox.closeEmpty() {
		l.serveMail()
		l.terminateEach()
	}
	for l.graves.left() {
		l.closeNow(l.graves.pop())
	}
	l.countBatch()
	if err := l.sys.Release(); err != nil {
		l.engine.log().Warn("gannet: releasing a poller", "loop", l.index, "err", err)
	}
}

// OnEvent serves one descriptor. It is where a byte comes in.
func (l *loop) OnEvent(fd int, ev netio.Event) {
	c := l.table.get(fd)
	if c == nil {
		l.acceptOn(fd)
		return
	}
	l.lookInTime()
	if c.phase == phaseDialing {
		c.onAttempt(fd)
		return
	}
	if ev&netio.Writable != 0 && c.flags&writeWanted != 0 {
		c.onWritable()
	}
	if ev&netio.Readable != 0 && c.watched&netio.Readable != 0 && c.phase != phaseBuried {
		l.onReadable(c)
	}
	if l.doomed.Load() {
		l.serveDoomed()
	}
	l.stepped()
}

// eventsPerLook is for how many events of a batch one look at the clock serves: a look costs a fifth of
// a small echo, and callbacks may take long.
const eventsPerLook = 16

// lookInTime looks at the clock at a batch's first event, and then at each sixteenth.
func (l *loop) lookInTime() {
	if l.timed = false; l.untimed == 0 {
		l.look()
		l.untimed = eventsPerLook
	}
	l.untimed--
}

// look looks at the clock.
func (l *loop) look() {
	if l.now, l.timed = l.sys.Now(), true; l.watched.batch == 0 {
		l.watched.begin(l)
	}
}

// time is now, as the clocks of all loops have it. A loop that nobody runs has no clock of its own.
func (l *loop) time() time.Time {
	if l.born.IsZero() {
		return time.Now()
	}
	return l.born.Add(l.now)
}

// lookOnce looks at the clock if nobody has in this event: what starts a clock starts it now, not when a batch began
// whose callbacks may have taken long.
func (l *loop) lookOnce() {
	if !l.timed {
		l.look()
	}
}

// began is when the event at hand did; 0 when nobody looked.
func (l *loop) began() time.Duration {
	if l.timed {
		return l.now
	}
	return 0
}

// OnBatchEnd ends what a batch of events shares: a look at the clock, and what its turns have counted.
func (l *loop) OnBatchEnd() {
	l.untimed = 0
	l.countBatch()
	l.watched.end(l)
}

// serveDoomed closes the connections that the inbound budget chose, at once: until the
// next wake every other connection of this turn could add a slab to what is over it.
func (l *loop) serveDoomed() {
	l.doomed.Store(false)
	for _, c := range l.engine.budget.shedOn(l) {
		c.serve()
		l.stepped()
	}
}

// OnWake goes on with all that the loop has to do beside its events.
func (l *loop) OnWake() bool {
	l.look()
	l.spent = 0
	l.wheel.Advance(l.now, l.fire)
	l.share = stepBudget
	all := l.goOn()
	l.share = turnBudget
	l.reopenListeners()
	l.armTimer()
	if !all {
		l.sys.Wake()
	}
	return !l.stop
}

// armTimer sees to it that OnWake runs when the wheel's next timer, or a listener's pause, is due.
func (l *loop) armTimer() {
	at, ok := l.wheel.Next()
	if p, paused := l.nextListener(); paused && (!ok || p < at) {
		at, ok = p, true
	}
	if !ok {
		at = 0
	}
	if at != l.armed {
		l.armed = at
		l.sys.SetTimer(at)
	}
}

// schedule sets c's timer.
func (l *loop) schedule(c *Conn, at time.Duration) {
	l.wheel.Schedule(c.fd, at)
	if l.armed == 0 || at < l.armed {
		l.armed = at
		l.sys.SetTimer(at)
	}
}

// adopt takes over a connection that admitConn has counted. On the loop.
func (l *loop) adopt(a arrival) {
	c := l.newConn(&a)
	if a.tls || l.secure != nil && a.upgrade == nil {
		c.flags |= overTLS
	}
	if l.bridge != nil {
		c.flags |= bridged
		l.engine.stats.bridged.Add(1)
	}
	l.look()
	c.times.begin(l.now)
	err := l.beginTLS(&a)
	if err == nil {
		err = l.sys.Add(a.fd)
	}
	if err != nil {
		l.engine.log().Error("gannet: a connection could not be watched", "err", err, "conn", c.id, "remote", c.peer.addrPort())
		if a.upgrade != nil {
			c.neverOpens(ErrTerminated)
			c.phase = phaseBuried // what its owner leaves for it finds nothing to do
		}
		l.engine.connGone(c)
		_ = l.sys.Abort(a.fd)
		return
	}
	c.watched = netio.Readable
	l.table.set(a.fd, c)
	l.conns.Add(1)
	if a.upgrade != nil {
		c.moveIn(a.upgrade, a.early)
		return
	}
	l.engine.stats.connecting.Add(1)
	if l.engine.closing.Load() {
		c.refuseUnasked()
		return
	}
	c.wake(l.engine.conf.HandshakeTimeout)
	if len(a.early) > 0 {
		l.feed(c, a.early)
	}
}

// newConn is the connection of an arrival.
func (l *loop) newConn(a *arrival) *Conn {
	if a.upgrade != nil {
		c := a.upgrade.conn
		c.moveTo(l, a.fd)
		return c
	}
	c := &Conn{loop: l, id: a.id, fd: int32(a.fd), peer: newPeerAddr(a.peer)}
	c.limits.Store(l.engine.own.limits)
	if l.engine.countedBy(a).IsValid() {
		c.flags |= counted
	}
	return c
}

// moveIn opens a connection that was answered by ServeHTTP. early are its first bytes.
func (c *Conn) moveIn(u *Upgrade, early []byte) {
	if c.open(u) && len(early) > 0 {
		c.loop.feed(c, early)
		return
	}
	c.settle()
	c.watch()
}

// addr is an address of the connection's own socket.
func (l *loop) addr(c *Conn, local bool) net.Addr {
	if m := limboOf(l); m != nil {
		return m.addr(local)
	}
	c.lock()
	defer c.unlock()
	switch s := c.ReadyState(); {
	case s == Closed:
		return nil
	case l.engine.role == codec.RoleClient && s != Open && c.peer == (peerAddr{}): // there is no transport yet
		return nil
	}
	switch {
	case l.bridge == nil && local:
		return netio.LocalAddr(int(c.fd))
	case l.bridge == nil:
		return netio.PeerAddr(int(c.fd))
	}
	nc := l.bridge.Conn(int(c.fd))
	if nc == nil {
		return nil
	}
	if local {
		return nc.LocalAddr()
	}
	return nc.RemoteAddr()
}
