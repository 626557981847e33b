package engine

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

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
	// turnBudget is how long one connection may keep its loop before the others are served.
	turnBudget = time.Millisecond
	// spentBudget is how long unfinished turns may take in all before whoever comes later
	// gets but a step: forty bombs that arrive at once would keep the others for 40 ms.
	spentBudget = 2 * turnBudget
	// stageBudget is how long one wake serves letters, and closes descriptors.
	stageBudget = turnBudget / 2
	// forever is for a loop that ends.
	forever = time.Duration(1<<63 - 1)
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

	now        time.Duration // as the clock was last read
	timed      bool          // when this event began
	untimed    int           // how many events may go without a look
	inCallback bool          // a handler's code is running: a panic is its own
	entered    bool          // the connection at hand is corked
	at         *Conn         // which that is
	turning    *Conn         // whose bytes are being decoded
	decoding   *inbound      // with this
	pace       pace          // of its turn
	spent      time.Duration // by turns that were cut short, since the last wake: what they left asks for one
	messages   uint64        // received in this turn
	bytes      uint64
	lane       incoming.Lane // what its connections share when they receive
	letters    []task        // taken from the mailbox; letters[opened:] are not served yet
	opened     int
	ready      []*Conn // with an unfinished turn, a long message to compress, or a timer that fired
	resting    []*Conn // whose sender and receiver may rest

	broadcasts   broadcasts   // as others give them
	underWay     []broadcast  // those that it goes through the table for
	asking       int          // the descriptor that it has come to
	given        []handedCall // what the connection at hand gets
	asked        *Conn        // which that is
	broadcasters []*Conn      // that wait until there are fewer

	dying     []grave // left the poller in this turn
	dead      []grave // left it in an earlier one: their descriptors may be reused
	listeners []*listener
	strangers int // connections over the limits that linger
	armed     time.Duration

	outgoing  outgoing.Lane // of its connections
	mailbox   mailbox
	serves    *Conn         // whose todo is served
	serving   uint32        // those bits of it
	exit      exit          // a callback ended the goroutine
	ending    bool          // the poller was left
	doomed    atomic.Bool   // the inbound budget chose one of ours
	goroutine atomic.Uint64 // its number, for onLoop
	stats     loopStats
	conns     atomic.Int64 // in the table
	lost      atomic.Bool  // its poller failed: nobody is sent to it any more
	stop      bool
	done      chan struct{}
}

// grave is a descriptor to close once no event of this turn can name it.
type grave struct {
	fd    int
	abort bool
}

// task is a letter to a loop: serve conn's todo, or run something.
type task struct {
	conn *Conn
	run  func(*Conn)
	call func()
}

// mailbox is a loop's one FIFO, with many producers.
type mailbox struct {
	mu     sync.Mutex
	tasks  []task
	closed bool
}

func (m *mailbox) put(t task) (ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.tasks = append(m.tasks, t)
	return true
}

// take returns what there is, in exchange for an empty slice to go on with.
func (m *mailbox) take(empty []task) []task {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.tasks
	m.tasks = empty
	return all
}

// closeEmpty closes the mailbox unless there is something in it.
func (m *mailbox) closeEmpty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = len(m.tasks) == 0
	return m.closed
}

// post leaves a letter and wakes the loop. Any goroutine. It reports false once the loop has ended.
func (l *loop) post(t task) bool {
	if !l.mailbox.put(t) {
		return false
	}
	l.sys.Wake()
	return true
}

func (l *loop) run() {
	defer l.succeed()
	id := goroutineID()
	l.goroutine.Store(id)
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
	close(l.done)
}

// end gives back what the loop still has: first what letters that came too late for the
// last turn bring, a connection to adopt among them.
func (l *loop) end() {
	for again := true; again; again = !l.mailbox.closeEmpty() {
		l.serveLetters(forever)
		l.terminateEach()
	}
	for len(l.dead)+len(l.dying) > 0 {
		l.closeDead(forever)
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
	if ev&netio.Writable != 0 && c.flags&writeWanted != 0 {
		c.onWritable()
	}
	if ev&netio.Readable != 0 && c.watched&netio.Readable != 0 && c.phase != phaseBuried {
		l.onReadable(c)
	}
	if l.doomed.Load() {
		l.serveDoomed()
	}
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
func (l *loop) look() { l.now, l.timed = l.sys.Now(), true }

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
}

// serveDoomed closes the connections that the inbound budget chose, at once: until the
// next wake every other connection of this turn could add a slab to what is over it.
func (l *loop) serveDoomed() {
	l.doomed.Store(false)
	for _, c := range l.engine.budget.shedOn(l) {
		c.serve()
	}
}

// OnWake goes on with all that the loop has to do beside its events. Each kind of work is done for
// a bounded time and goes on at the next wake, so that whoever has something to say waits for one wake.
func (l *loop) OnWake() bool {
	l.look()
	l.spent = 0
	l.closeDead(stageBudget)
	l.serveLetters(stageBudget)
	l.wheel.Advance(l.now, l.fire)
	l.serveReady()
	l.serveBroadcasts()
	if len(l.resting) > 0 {
		l.serveResting()
	}
	l.reopenListeners()
	l.armTimer()
	if len(l.dead)+len(l.dying)+len(l.letters)+len(l.ready)+len(l.underWay)+len(l.resting) > 0 {
		l.sys.Wake()
	}
	return !l.stop
}

// serveLetters serves the mailbox in order, for so long. What came before this wake is taken in it: the wake was for that.
func (l *loop) serveLetters(budget time.Duration) {
	var p pace
	p.begin(l.now)
	for fresh := false; ; fresh = true {
		for l.opened < len(l.letters) {
			t := l.letters[l.opened]
			l.letters[l.opened] = task{}
			l.opened++
			l.serveTask(t)
			if p.due() && p.look(l.sys.Now()) > budget {
				break
			}
		}
		if l.opened < len(l.letters) || fresh {
			break
		}
		l.letters, l.opened = l.mailbox.take(shrunk(l.letters)), 0
	}
	if l.opened == len(l.letters) {
		l.letters, l.opened = shrunk(l.letters), 0
	}
}

// shrunk is an emptied slice, without its array if a busy moment made that large.
func shrunk[T any](s []T) []T {
	const most = 1 << 10
	if cap(s) > most {
		return nil
	}
	return s[:0]
}

func (l *loop) serveTask(t task) {
	switch {
	case t.conn == nil:
		t.call()
	case t.run != nil:
		t.conn.callPosted(t.run)
	default:
		t.conn.serve()
	}
}

// enqueue has c's unfinished work gone on with, when the others were served.
func (l *loop) enqueue(c *Conn) {
	if c.flags&enqueued == 0 {
		c.flags |= enqueued
		l.ready = append(l.ready, c)
		l.sys.Wake()
	}
}

// serveReady goes on with unfinished work, each for another turn. After a turn's time the
// rest waits for the next wake: however many connections have work left, whoever else has
// something to say waits for one of them.
func (l *loop) serveReady() {
	began, n := l.now, len(l.ready)
	served := 0
	for served < n && (served == 0 || l.sys.Now()-began <= turnBudget) {
		c := l.ready[served]
		served++
		c.flags &^= enqueued
		if c.flags&timerDue != 0 {
			c.flags &^= timerDue
			c.onTimer()
		}
		if c.phase != phaseBuried {
			l.resumeTurn(c)
			c.nextSlice()
			l.hearOn(c)
		}
		if c.flags&hearDue != 0 {
			c.flags &^= hearDue
			c.hear()
		}
		if l.doomed.Load() {
			l.serveDoomed()
		}
	}
	if served != 0 {
		left := copy(l.ready, l.ready[served:])
		clear(l.ready[left:])
		if l.ready = l.ready[:left]; left == 0 {
			l.ready = shrunk(l.ready)
		}
	}
}

// fire is the wheel's callback. The timers of thousands may be due together, so they are served like
// all that takes time.
func (l *loop) fire(fd int32) {
	c := l.table.get(int(fd))
	c.flags |= timerDue
	l.enqueue(c)
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

// bury closes a descriptor once no event of this turn can name it: the poller reports
// each descriptor once a turn, and OnWake at most once a turn, so what was in dying when
// OnWake ran, and is in dead when it runs again, is of an earlier turn.
func (l *loop) bury(fd int, abort bool) {
	l.dying = append(l.dying, grave{fd, abort})
	l.sys.Wake()
}

// closeDead closes the descriptors that left in an earlier turn, for so long: thousands may have.
func (l *loop) closeDead(budget time.Duration) {
	var p pace
	k := 0
	for p.begin(l.now); k < len(l.dead); {
		l.closeNow(l.dead[k])
		if k++; p.due() && p.look(l.sys.Now()) > budget {
			break
		}
	}
	if k < len(l.dead) {
		l.dead = append(l.dead[:copy(l.dead, l.dead[k:])], l.dying...)
		l.dying = shrunk(l.dying)
		return
	}
	l.dead, l.dying = l.dying, shrunk(l.dead)
}

func (l *loop) closeNow(g grave) {
	if g.abort {
		_ = l.sys.Abort(g.fd)
		return
	}
	_ = l.sys.Close(g.fd)
}

// adopt takes over a connection that admitConn has counted. On the loop.
func (l *loop) adopt(a arrival) {
	c := &Conn{loop: l, fd: int32(a.fd), peer: newPeerAddr(a.peer)}
	c.limits.Store(l.engine.conf.limits)
	if a.tls {
		c.flags |= overTLS
	}
	if l.engine.countedBy(&a).IsValid() {
		c.flags |= counted
	}
	if l.bridge != nil {
		c.flags |= bridged
		l.engine.stats.bridged.Add(1)
	}
	l.look()
	c.times.begin(l.now)
	if err := l.sys.Add(a.fd); err != nil {
		l.engine.log().Error("gannet: a connection could not be watched", "err", err)
		l.engine.connGone(c)
		_ = l.sys.Abort(a.fd)
		return
	}
	c.watched = netio.Readable
	l.table.set(a.fd, c)
	l.conns.Add(1)
	l.engine.stats.connecting.Add(1)
	if l.engine.closing.Load() {
		c.refuse(shuttingDown)
		return
	}
	c.wake(l.engine.conf.HandshakeTimeout)
	if a.http != nil {
		c.onHTTP(a)
	} else if len(a.early) > 0 {
		l.feed(c, a.early)
	}
}

// transport is the net.Conn of a bridged connection that is not CLOSED; nil for others.
func (c *Conn) transport() net.Conn {
	if c.loop.bridge == nil {
		return nil
	}
	c.lock()
	defer c.unlock()
	if c.ReadyState() == Closed { // the descriptor may be another's
		return nil
	}
	return c.loop.bridge.Conn(int(c.fd))
}

// addr is an address of the connection's own socket.
func (l *loop) addr(c *Conn, local bool) net.Addr {
	c.lock()
	defer c.unlock()
	if c.ReadyState() == Closed {
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
