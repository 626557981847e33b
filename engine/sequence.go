package engine

import (
	"fmt"
	"runtime/debug"

	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// The sequence: a connection's callbacks, one at a time. On the loop they are plain
// calls; with Options.Workers they wait in the connection's inbox (worker_inbox.go).

// enter corks the connection at hand: what its callbacks send is one write, at their end.
func (c *Conn) enter() {
	if l := c.loop; !l.entered {
		l.entered, l.at = true, c
		c.corked.Store(true)
	}
}

// settleTurn ends what enter began, and does what the callbacks left to do.
func (c *Conn) settleTurn() {
	if c.loop.entered {
		c.leave()
	}
	if c.todo.Load() != 0 {
		c.serve()
	}
}

// leave ends what enter began.
func (c *Conn) leave() {
	c.loop.entered, c.loop.at = false, nil
	c.uncork()
}

// uncork writes what the callbacks sent.
func (c *Conn) uncork() {
	if c.mu.TryLock() {
		if c.handed.Load() != nil {
			c.takeHanded()
		}
		// Cleared last and under the lock: work noted meanwhile needs no wake, the
		// turn's end does it, and whoever takes the lock next writes for itself.
		if l := c.loop; !c.out.FlushPlain(&l.outgoing, int(c.fd), l.spareOut.Load(), &l.sent) {
			c.flushCork()
		}
		c.corked.Store(false)
		c.unlock()
		return
	}
	c.corked.Store(false)
	if c.loop.engine.workers == nil {
		c.loop.spareOut.Store(new(outgoing.Spare))
	}
	if c.tryLockOr(todoFlush) {
		c.flushCork()
		c.unlock()
	}
}

// flushCork sends what waits in the cork, and tells what that brings: as long as the connection is corked, without a wake.
func (c *Conn) flushCork() {
	if !c.out.Idle() {
		c.out.Flush(c.outCall())
		if c.out.HasDue() {
			c.tellDueLocked()
		}
	}
}

// recoverCallback, deferred, turns a handler's panic, or its end of the goroutine, into the end of
// its connection. A panic of the engine's own is not the handler's, and goes on.
func (l *loop) recoverCallback(c *Conn) {
	if !l.inCallback {
		return
	}
	l.inCallback = false
	r := recover()
	if r == nil {
		l.exits(c)
	}
	c.fail(&CloseError{codeInternalError, l.engine.blamed(c, r)})
}

// blamed logs and counts what a handler has done to its goroutine: it panicked with r, or, if that
// is nil, ended it. It returns the connection's error.
func (e *engine) blamed(c *Conn, r any) error {
	e.stats.panics.Add(1)
	if r == nil {
		e.log().Error("gannet: a handler ended its goroutine (runtime.Goexit, t.FailNow); its connection is closed (1011)",
			"remote", c.peer.addrPort(), "stack", string(debug.Stack()))
		return ErrHandlerExit
	}
	e.log().Error("gannet: a handler panicked; its connection is closed (1011)",
		"panic", fmt.Sprint(r), "remote", c.peer.addrPort(), "stack", string(debug.Stack()))
	return ErrHandlerPanic
}

// blamedFor does so for a function that answers questions of the engine.
func (e *engine) blamedFor(what, outcome string, r any) {
	did := "panicked"
	if r == nil {
		did = "ended its goroutine (runtime.Goexit)"
	}
	e.stats.panics.Add(1)
	e.log().Error("gannet: "+what+" "+did+"; "+outcome, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
}

// deliver hands a message to the handler.
func (l *loop) deliver(c *Conn, m Message) {
	if c.discards() {
		return
	}
	l.messages++
	l.bytes += uint64(len(m.Data))
	if l.engine.workers != nil {
		c.deposit(letter{kind: letterMessage, op: m.Op}, m.Data, m.held)
		return
	}
	c.enter()
	l.inCallback = true
	l.engine.hooks.message(c, m)
	l.inCallback = false
}

func (l *loop) deliverChunk(c *Conn, k Chunk) {
	if c.discards() {
		return
	}
	if k.Last {
		l.messages++
	}
	l.bytes += uint64(len(k.Data))
	if l.engine.workers != nil {
		t := letter{kind: letterChunk, op: k.Op}
		if k.First {
			t.flags |= letterFirst
		}
		if k.Last {
			t.flags |= letterLast
		}
		c.deposit(t, k.Data, nil)
		return
	}
	c.enter()
	l.inCallback = true
	l.engine.hooks.chunk(c, k)
	l.inCallback = false
}

// callLent calls f, which is OnPing or OnPong.
func (l *loop) callLent(c *Conn, op Opcode, f func(*Conn, []byte), payload []byte) {
	if f == nil || c.discards() {
		return
	}
	if l.engine.workers != nil {
		c.deposit(letter{kind: letterControl, op: op}, payload, nil)
		return
	}
	c.enter()
	l.inCallback = true
	f(c, payload)
	l.inCallback = false
}

// call runs one of the rarer callbacks in the sequence.
func (c *Conn) call(f func(*Conn)) {
	if f == nil {
		return
	}
	if c.loop.engine.workers != nil {
		c.deposit(letter{kind: letterCall, call: f}, nil, nil)
		return
	}
	c.callNow(f)
}

func (c *Conn) callNow(f func(*Conn)) {
	l := c.loop
	defer l.recoverCallback(c)
	c.enter()
	l.inCallback = true
	f(c)
	l.inCallback = false
}

// callPosted runs what Post was given, unless the connection closed meanwhile.
func (c *Conn) callPosted(f func(*Conn)) {
	if c.ReadyState() == Closed {
		return
	}
	c.call(f)
	c.settleTurn()
}

// callClose calls OnError, if there was one, and OnClose: the last callbacks. The second comes even
// if the first ends the goroutine.
func (c *Conn) callClose(e CloseEvent, failed bool) {
	h := &c.loop.engine.hooks
	c.dropInbox()
	defer c.call(func(c *Conn) { h.close(c, e) })
	if failed && h.err != nil {
		c.call(func(c *Conn) { h.err(c, e.Err) })
	}
}

// serve does what others left to the loop.
func (c *Conn) serve() {
	for bits := c.todo.Swap(0); bits != 0; bits = c.todo.Swap(0) {
		if c.phase != phaseBuried {
			c.loop.serves, c.loop.serving = c, bits
			c.serveBits(bits)
			c.loop.serves = nil
		}
		if c.loop.entered {
			c.leave()
		}
	}
}

func (c *Conn) serveBits(bits uint32) {
	l := c.loop
	if bits&todoAbort != 0 {
		c.finish(closing{code: codeAbnormal, err: ErrTerminated, abort: true, local: true})
		return
	}
	if bits&todoDecide != 0 {
		c.decideLate()
	}
	if bits&todoFail != 0 {
		c.lose(closing{code: codeAbnormal, err: &CloseError{codeAbnormal, ErrAbnormal}})
		if c.phase >= phaseLingering {
			return
		}
	}
	if bits&todoEnd != 0 {
		c.flags &^= endWaits
		c.advanceClosing()
	}
	if bits&todoShed != 0 {
		c.beShed()
	}
	if bits&todoSlice != 0 {
		l.enqueue(c)
	}
	if bits&todoBroadcasts != 0 {
		c.awaitBroadcasts()
	}
	if bits&todoPong != 0 && c.in != nil {
		c.answerPing(c.in)
		l.keep(c, c.in)
	}
	if bits&todoWatch != 0 {
		c.awaitRoom()
	}
	if bits&(todoHigh|todoDrain) != 0 {
		c.settleHigh(bits)
	}
	if bits&todoInbox != 0 {
		c.inboxEased()
	}
	if bits&todoPause != 0 {
		c.settlePause()
	}
	if bits&todoMarks != 0 {
		c.remark()
	}
	if bits&(todoTimers|todoPing) != 0 {
		c.onTimer()
	}
	if bits&todoClose != 0 || c.ReadyState() == Closing {
		c.advanceClosing()
	}
	if bits&todoHear != 0 {
		c.hear() // last: it serves what it brings, and what bits say of before would be told after that
	}
	c.watch()
}

// settleHigh tells of the high-water mark, in the order it was passed.
func (c *Conn) settleHigh(bits uint32) {
	h := &c.loop.engine.hooks
	if c.ReadyState() != Open || c.phase == phaseHearing {
		return // nothing can be sent any more, and closing resumes reading
	}
	if bits&todoDrain != 0 && c.flags&pausedByHigh != 0 {
		c.lowAgain()
	}
	if bits&todoHigh != 0 && c.flags&pausedByHigh == 0 {
		c.flags |= pausedByHigh
		c.loop.stats.pauses.Add(1)
		c.call(h.highWater)
	}
	if c.flags&pausedByHigh != 0 && c.holds.Load()&heldByHigh == 0 && c.ReadyState() == Open { // OnHighWater may have closed
		c.lowAgain()
	}
}

func (c *Conn) lowAgain() {
	c.flags &^= pausedByHigh
	c.readAgain()
	c.goOnTurn()
	c.wakeInbox()
	c.call(c.loop.engine.hooks.drain)
}

func (c *Conn) settlePause() {
	if c.holds.Load()&heldByUser != 0 && c.ReadyState() != Closed { // what lingers reads until the peer's end
		c.flags |= pausedByUser
	} else if c.flags&pausedByUser != 0 {
		c.flags &^= pausedByUser
		c.readAgain()
		c.goOnTurn()
	}
	if c.holds.Load() == 0 { // Pause and Resume may have come as one
		c.wakeInbox()
	}
}

// onWritable writes on, now that the socket has room.
func (c *Conn) onWritable() {
	if !c.tryLockOr(todoFlush) {
		return // whoever holds the lock writes
	}
	if !c.out.HasRoom(c.outCall()) {
		c.flags &^= writeWanted
		c.lookSoon()
	}
	c.seePingLocked()
	c.unlock()
	if c.phase == phaseLingering && c.flags&writeWanted == 0 { // a refusal has left
		c.endOutput()
	}
	c.watch()
	c.settleTurn()
}

// awaitRoom has the poller tell when the socket has room, and starts the stall clock.
func (c *Conn) awaitRoom() {
	if c.flags&writeWanted == 0 && c.phase != phaseHearing {
		c.flags |= writeWanted
		c.onLookDue()
		c.reschedule()
	}
	c.watch()
}

// watch asks the poller for what the connection waits for now.
func (c *Conn) watch() {
	if c.phase == phaseBuried {
		return
	}
	want := c.wanted()
	if want == c.watched {
		return
	}
	if err := c.loop.sys.Interest(int(c.fd), c.watched, want); err != nil {
		c.loop.engine.log().Error("gannet: poller refused a change of interest", "err", err)
		c.loop.sys.Remove(int(c.fd))
		c.watched = 0
		c.flags |= unwatched
		c.lose(closing{code: codeAbnormal, err: &CloseError{codeAbnormal, &lostError{err}}})
		c.settleTurn() // OnClose may have run
		return
	}
	if (want^c.watched)&netio.Readable != 0 {
		c.loop.schedule(c, c.loop.now) // which clocks run depends on whether the peer is read
	}
	c.watched = want
}

// wanted is what the connection waits for now.
func (c *Conn) wanted() (want netio.Interest) {
	if c.flags&unwatched != 0 {
		return 0
	}
	if c.flags&(unread|sawEnd) == 0 {
		want |= netio.Readable
	}
	if c.flags&writeWanted != 0 {
		want |= netio.Writable
	}
	return want
}

// nextSlice goes on with a long message, for this turn. On the loop.
func (c *Conn) nextSlice() {
	if !c.tryLockOr(todoSlice) {
		return
	}
	more := c.out.Slice(c.outCall())
	c.unlock()
	if more {
		c.loop.enqueue(c)
	}
}

// remark looks at the water marks after they were moved. On the loop.
func (c *Conn) remark() {
	if c.tryLockOr(todoMarks) {
		c.out.Remark(c.outCall())
		c.unlock()
	}
}
