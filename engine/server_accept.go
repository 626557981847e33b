package engine

import (
	"time"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// What a loop does with its listeners: it accepts, turns away, and pauses one while descriptors or memory have run out.

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
	// maxStrangers is how many connections over the limits may linger on a loop: a limit that is
	// passed by a flood must not cost descriptors without end. The others may meet a reset before they read their 503.
	maxStrangers = 64
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
	to := leastLoaded(l.siblings())
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
	answer := tooMany(reason).Append(nil, l.date.at(l.now), false)
	if l.secure == nil {
		_, _ = l.sys.Write(fd, answer)
		_ = l.sys.CloseWrite(fd)
	}
	if l.strangers >= maxStrangers || l.stop || l.beginTLS(&arrival{fd: fd}) != nil || l.sys.Add(fd) != nil {
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
	if l.secure != nil {
		c.sayStranger(answer)
	}
}

// sayStranger has the answer leave when TLS has shaken hands. Who takes longer than lingerTime goes without. Who has to send a PROXY header first is not
// over TLS yet, and gets it in plain text at once, as a proxy does whose header is refused.
func (c *Conn) sayStranger(answer []byte) {
	c.lock()
	c.out.Raw(c.outCall(), answer)
	c.flushCork()
	c.unlock()
	c.flags |= writeWanted
	c.watch()
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
