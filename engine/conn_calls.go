package engine

import (
	"fmt"
	"runtime/debug"
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

// settle ends what enter began, and does what the callbacks left to do.
func (c *Conn) settle() {
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
	c.loop.freshSpare()
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
	c.fail(&CloseError{StatusInternalServerError, l.engine.blamed(c, r)})
}

// blamed logs and counts what a handler has done to its goroutine: it panicked with r, or, if that
// is nil, ended it. It returns the connection's error.
func (e *engine) blamed(c *Conn, r any) error {
	e.stats.panics.Add(1)
	if r == nil {
		e.log().Error("gannet: a handler ended its goroutine (runtime.Goexit, t.FailNow); its connection is closed (1011)",
			"conn", c.id, "remote", c.peer.addrPort(), "route", c.Route(), "stack", string(debug.Stack()))
		return ErrHandlerExit
	}
	e.log().Error("gannet: a handler panicked; its connection is closed (1011)",
		"panic", fmt.Sprint(r), "conn", c.id, "remote", c.peer.addrPort(), "route", c.Route(), "stack", string(debug.Stack()))
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
	c.route().hooks.message(c, m)
	l.inCallback = false
	m.giveBack()
	l.stepped()
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
	c.route().hooks.chunk(c, k)
	l.inCallback = false
	spoil(k.Data)
	l.stepped()
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
	spoil(payload)
	l.stepped()
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
	l.stepped()
}

// callPosted runs what Post was given, unless the connection closed meanwhile.
func (c *Conn) callPosted(f func(*Conn)) {
	if c.ReadyState() == Closed {
		return
	}
	c.call(f)
	c.settle()
}

// callClose calls OnError, if there was one, and OnClose: the last callbacks. The second comes even
// if the first ends the goroutine.
func (c *Conn) callClose(e CloseEvent, failed bool) {
	h := &c.route().hooks
	c.dropInbox()
	defer c.call(func(c *Conn) { h.close(c, e) })
	if failed && h.err != nil {
		c.call(func(c *Conn) { h.err(c, e.Err) })
	}
}
