package engine

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// A loop has its broadcasts in an order, by number, and goes through its table, round and round, as long as there
// is one: each connection that it comes to is asked for all that it has not been asked for yet, and gets them in one
// write. Who sends to a connection that is still behind keeps a place for what it has not got, and waits behind that: the
// loop is told, and asks this connection next.

// broadcast is one that a loop has not done with.
type broadcast struct {
	p       *Prepared
	keep    func(*Conn) bool
	number  uint32
	from    int  // the descriptor at which it began
	wrapped bool // the end of the table was reached since
}

// weight is what a broadcast costs while it is under way.
func (b *broadcast) weight() int64 { return int64(b.p.made.Size()) + 512 }

// broadcasts are a loop's.
type broadcasts struct {
	last  atomic.Uint32 // the number of the newest; never 0 once there was one
	mu    sync.Mutex
	fresh []broadcast // mu; those that the loop has not seen
	over  bool        // mu; the loop has ended, or its poller failed: there is nobody to ask any more

	// loop
	taken    uint32      // the number of the newest that it has
	underWay []broadcast // those that it goes through the table for
	asking   int         // the descriptor that it has come to
}

const (
	// broadcastBacklog is how much of broadcasts, in bytes, may be under way for each loop before those whose callbacks
	// make them have to wait.
	broadcastBacklog = 1 << 20
	// slotsPerUnit is how many descriptors without a connection are passed at once.
	slotsPerUnit = 1 << 10
	// mostAsked is how many broadcasts a connection is asked for at once.
	mostAsked = 64
)

// announce gives the loop a broadcast. Any goroutine.
func (l *loop) announce(p *Prepared, keep func(*Conn) bool) {
	b := broadcast{p: p, keep: keep}
	q := &l.broadcasts
	q.mu.Lock()
	if q.over {
		q.mu.Unlock()
		return
	}
	if b.number = q.last.Load() + 1; b.number == 0 {
		b.number = 1
	}
	l.engine.broadcasting.Add(b.weight())
	q.fresh = append(q.fresh, b)
	q.last.Store(b.number)
	q.mu.Unlock()
	l.sys.Wake()
}

// forgetBroadcasts drops those that the loop has not done with, and takes no more: it has ended, or its poller failed. Nobody
// waits for it any more who broadcasts too fast.
func (l *loop) forgetBroadcasts() {
	q := &l.broadcasts
	q.mu.Lock()
	q.over = true
	all := append(q.underWay, q.fresh...)
	q.underWay, q.fresh = nil, nil
	q.mu.Unlock()
	for i := range all {
		l.engine.broadcasting.Add(-all[i].weight())
	}
	l.engine.releaseBroadcasters()
}

// take begins those that are new.
func (q *broadcasts) take() {
	if q.last.Load() == q.taken {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range q.fresh {
		b.from = q.asking
		q.underWay = append(q.underWay, b)
	}
	q.taken = q.last.Load()
	clear(q.fresh)
	q.fresh = shrunk(q.fresh)
}

func (q *broadcasts) begin(*loop) bool {
	q.take()
	return q.left()
}

func (q *broadcasts) left() bool { return len(q.underWay) > 0 }

// unit goes on through the table to the next connection, or past many descriptors that have none.
func (q *broadcasts) unit(l *loop) bool {
	slots := l.table.slots()
	for range slotsPerUnit {
		c := l.table.get(q.asking)
		mine := c != nil && c.loop == l
		if !mine || l.ask(c) {
			l.nextAsked(slots)
		}
		if mine || !q.left() {
			break
		}
	}
	return q.left()
}

// nextAsked goes on to the next descriptor.
func (l *loop) nextAsked(slots int) {
	q := &l.broadcasts
	if q.asking++; q.asking >= slots {
		q.asking = 0
		for i := range q.underWay {
			q.underWay[i].wrapped = true
		}
	}
	l.endBroadcasts()
}

// endBroadcasts drops those that have come to everybody.
func (l *loop) endBroadcasts() {
	n, q := 0, &l.broadcasts
	for n < len(q.underWay) && q.underWay[n].wrapped && q.asking >= q.underWay[n].from {
		l.engine.broadcasting.Add(-q.underWay[n].weight())
		n++
	}
	if n == 0 {
		return
	}
	q.underWay = slices.Delete(q.underWay, 0, n)
	l.engine.releaseBroadcasters()
}

// ask asks c for the broadcasts that it has not been asked for, and gives it those that their keep lets through: some at a
// time. It reports whether that were all.
func (l *loop) ask(c *Conn) (all bool) {
	if c.ReadyState() == Connecting {
		return true
	}
	var p pace
	p.begin(l.now)
	l.asked = c // until all is given: a keep may end the goroutine, and the next one goes on here
	for i := range l.broadcasts.underWay {
		b := &l.broadcasts.underWay[i]
		if int32(b.number-c.asked) <= 0 {
			continue
		}
		if len(l.given) == mostAsked || p.ripe() && p.look(l.sys.Now()) >= stepBudget {
			break
		}
		c.asked = b.number
		l.given = append(l.given, handedCall{op: b.p.made.Op(), heard: b.number})
		p.due()
		if c.ReadyState() != Closed && (b.keep == nil || l.keeps(c, b.keep)) {
			m := c.preparedMessage(b.p, nil)
			l.given[len(l.given)-1].message = m
		}
	}
	if l.asked = nil; len(l.given) == 0 {
		return true
	}
	if l.engine.workers == nil {
		c.enter() // one write for all of them
	}
	c.giveAll(l.given)
	clear(l.given)
	l.given = l.given[:0]
	c.settle()
	return !l.leftFor(c) // now: settling may have begun new ones, and given c some of them
}

// leftFor tells whether c has not been asked for all that is under way.
func (l *loop) leftFor(c *Conn) bool {
	all := l.broadcasts.underWay
	return len(all) > 0 && int32(all[len(all)-1].number-c.asked) > 0
}

// hear asks for what c is behind, out of its turn, because something waits behind that. On the loop.
func (c *Conn) hear() {
	l := c.loop
	l.broadcasts.take()
	if !l.ask(c) {
		c.flags |= hearDue
		l.enqueue(c)
	}
}

// giveAll makes calls, or hands them to whoever has the lock.
func (c *Conn) giveAll(all []handedCall) {
	if c.mu.TryLock() {
		c.takeHanded()
		for i := range all {
			c.makeLocked(&all[i])
		}
		c.unlock()
		return
	}
	for i := range all {
		c.handCall(all[i])
	}
}

// announced is the number of the newest broadcast: whoever sends now sends after it.
func (c *Conn) announced() uint32 { return c.loop.broadcasts.last.Load() }

// hearLocked brings a broadcast's message, or none, to the connection: with it it has come up to number.
func (c *Conn) hearLocked(m *outgoing.Message, number uint32) {
	if m.Prepared == nil {
		m = nil
	}
	_ = c.answerLocked(c.out.Hear(c.outCall(), m, number, c.ReadyState() == Open))
}

// holdBroadcaster has the connection in whose callback the caller is wait, if more is under way than the loops can do.
func (e *engine) holdBroadcaster() {
	if e.broadcasting.Load() <= e.mostBroadcasting() {
		return
	}
	if c := e.callingConn(); c != nil {
		c.holds.Or(heldByBroadcasts)
		c.notify(todoBroadcasts)
	}
}

func (e *engine) mostBroadcasting() int64 { return broadcastBacklog * int64(len(e.allLoops())) }

// callingConn is the connection whose callback the caller runs in; nil if it is none.
func (e *engine) callingConn() *Conn {
	id := goroutineID()
	for _, l := range e.allLoops() {
		if l.goroutine.Load() == id {
			return l.at
		}
	}
	if w := e.workerHere(id); w != nil {
		return w.conn
	}
	return nil
}

// awaitBroadcasts stops the delivery of what c sends. On the loop.
func (c *Conn) awaitBroadcasts() {
	l := c.loop
	if c.phase >= phaseLingering { // OnClose made them: nothing is delivered any more, and the peer's end is awaited
		c.holds.And(^heldByBroadcasts)
		return
	}
	if c.flags&pausedByBroadcasts == 0 {
		c.flags |= pausedByBroadcasts
		l.broadcasters = append(l.broadcasters, c)
		l.engine.broadcasters.Add(1)
	}
	l.engine.releaseBroadcasters() // the loops may just have caught up
}

// releaseBroadcasters lets them go on once half of what may be under way is done.
func (e *engine) releaseBroadcasters() {
	if e.broadcasters.Load() == 0 || e.broadcasting.Load() > e.mostBroadcasting()/2 {
		return
	}
	for _, l := range e.allLoops() {
		l.post(task{call: l.releaseBroadcasters})
	}
}

func (l *loop) releaseBroadcasters() {
	all := l.broadcasters
	l.broadcasters = nil
	l.engine.broadcasters.Add(-int64(len(all)))
	for _, c := range all {
		c.holds.And(^heldByBroadcasts)
		c.flags &^= pausedByBroadcasts
		c.readAgain()
		if c.phase != phaseBuried {
			c.pauseOver()
			c.wakeInbox()
			c.watch()
		}
	}
}
