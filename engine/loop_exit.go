package engine

// A callback may end its goroutine: runtime.Goexit does, and t.FailNow and t.SkipNow, which call it. Then no
// frame above the callback goes on, only what was deferred. The connection is closed as after a panic, and
// another goroutine becomes the loop and goes on where this one was: what the poller had found, what was
// taken out of the mailbox, the timers of one tick and the connection at hand are kept where it finds them.

// exit is what a loop's goroutine leaves to the next one.
type exit struct {
	under bool
	conn  *Conn // the one at hand; nil: none
}

// exits notes that the goroutine is about to end in c's callback; c is nil when it decides for the engine.
func (l *loop) exits(c *Conn) { l.exit = exit{true, c} }

// succeed, deferred, has another goroutine go on.
func (l *loop) succeed() {
	if l.exit.under {
		go l.run()
	}
}

// takeOver ends what the goroutine before had begun: the turn of the connection at hand, and what was noted for it.
func (l *loop) takeOver() {
	c := l.exit.conn
	if !l.exit.under {
		return
	}
	l.exit = exit{}
	l.look()
	l.sys.Wake() // OnWake may not have come to its end
	l.serveAgain()
	if l.asked != nil {
		l.ask(l.asked)
	}
	if c == nil {
		return
	}
	if c.todo.Or(todoTimers); c.phase < phaseLingering {
		c.todo.Or(todoClose)
	}
	if l.turning != nil {
		l.endTurn(c, l.turning)
	}
	c.settle()
	c.watch()
}

// serveAgain notes again what was being served for a connection: to do what is done already does nothing.
func (l *loop) serveAgain() {
	c, bits := l.serves, l.serving
	if l.serves, l.serving = nil, 0; c == nil || c.phase >= phaseLingering {
		return
	}
	if c.todo.Or(bits) == 0 {
		l.post(task{conn: c})
	}
}
