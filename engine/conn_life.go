package engine

import (
	"fmt"
	"io"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// The life of a connection. The phase is the loop's own, and says what its descriptor is still good for; the
// ReadyState is what everybody sees. A phase only ever moves down this table.
//
//	phase           ReadyState             enters by                 leaves by
//
//	phaseDialing    CONNECTING             Start                     sendRequest: there is a transport
//	                CLOSING                (any goroutine)           finish: OnError, OnClose
//	phaseOpening    CONNECTING             accept                    open: the handshake is answered 101
//	                CLOSING: Close or      (any goroutine)           refuse: an HTTP status, then phaseLingering
//	                Terminate was called                             finish: it is reset, or had said nothing: phaseBuried
//	phaseOpen       OPEN                   open: OnOpen              finish: both sides are done
//	                CLOSING                a Close frame is placed   lose: nothing can be sent any more
//	phaseHearing    OPEN, CLOSING          lose                      heardAll: what the peer had said is delivered
//	phaseLingering  CLOSED (after finish)  linger, refuse            bury: the peer has ended, or had its time
//	phaseBuried     CLOSED                 bury                      never
//
// Closing goes in steps: begin (a Close frame is placed behind what is queued, the state is CLOSING), join (both
// Close frames were seen and ours has left), finish (the state is CLOSED, OnClose is called), linger (the peer takes
// our last bytes), bury. Each step may wait for something, and is then tried again by advanceClosing.

// phase is where a connection stands in its life. On the loop.
type phase int8

const (
	phaseDialing phase = iota - 1 // a client's: there is no transport yet; 0 is an accepted one's first
	phaseOpening
	phaseOpen      // frames go both ways
	phaseHearing   // nothing can be sent any more: what the peer said before is heard first
	phaseLingering // our last bytes are on their way: nothing received counts
	phaseBuried    // out of the poller and the table
)

// ending is why and how a connection closes. On the loop.
type ending struct {
	code   int      // what OnClose will report
	reason string   // the peer's
	reply  int      // the code of our Close frame
	err    error    // it failed: we do not wait for the peer's Close
	why    error    // what our Close was for
	lost   *closing // the transport failed: how it ends when what the peer said before was heard
	last   *closing
}

// closing is the last word on a connection.
type closing struct {
	code   int
	reason string
	clean  bool
	err    error
	abort  bool // drop what is unsent, reset
	local  bool // our own doing: no OnError
}

// lostError is a transport that broke. It is ErrAbnormal and what the system said.
type lostError struct{ cause error }

func (e *lostError) Error() string   { return fmt.Sprintf("%v: %v", ErrAbnormal, e.cause) }
func (e *lostError) Unwrap() []error { return []error{ErrAbnormal, e.cause} }

// fail closes because the peer, or the handler, broke a rule. On the loop.
func (c *Conn) fail(err error) {
	if c.deaf() || c.ReadyState() == Closed || c.ending != nil && c.ending.err != nil {
		return
	}
	if c.phase <= phaseOpening { // what was posted to a connection to be panicked
		c.finish(closing{code: StatusAbnormalClosure, err: err, abort: true})
		return
	}
	code := closeCodeOf(err)
	c.loop.engine.stats.failures.add(code)
	e := c.endingOf()
	e.code, e.reply, e.err = StatusAbnormalClosure, code, wrapClose(code, err)
	c.flags |= sawClose
	c.dropInbound()
	if c.phase == phaseHearing { // it can not be told
		c.heardAll()
		return
	}
	c.endInOrder()
}

// discards tells whether what the peer says is not delivered any more: the state left OPEN, or, where that waits for
// the workers or for the lock, is about to. Control frames still count, until deaf.
func (c *Conn) discards() bool {
	return !c.hears() || c.flags&sawClose != 0 || c.ending != nil && c.ending.last != nil
}

// endInOrder goes on with an end that the peer caused. With workers, what it had sent
// before comes first: those messages are delivered, and the state is OPEN until then.
func (c *Conn) endInOrder() {
	if c.inbox.Load() != nil && c.hears() { // a callback waits or runs
		if c.flags&endWaits == 0 {
			c.flags |= endWaits
			c.deposit(letter{kind: letterEnd}, nil, nil)
		}
		c.watch()
		return
	}
	c.advanceClosing()
}

func wrapClose(code int, err error) error {
	if _, ok := err.(*CloseError); ok {
		return err
	}
	return &CloseError{code, err}
}

// because adds to what failed a closing handshake what it was for.
func (e *ending) because(err *CloseError) error {
	if e == nil || e.why == nil {
		return err
	}
	return &CloseError{err.Code, fmt.Errorf("%w; %w", e.why, err.Err)}
}

func (c *Conn) endingOf() *ending {
	if c.ending == nil {
		c.ending = new(ending)
	}
	return c.ending
}

// abandon: the transport is gone, and there is nothing more to hear.
func (c *Conn) abandon(err *CloseError) {
	if c.phase == phaseLingering {
		c.endLinger()
		return
	}
	c.gone(closing{code: StatusAbnormalClosure, err: err})
}

// gone is abandon, of a connection that ends as k unless something is known that came before.
func (c *Conn) gone(k closing) {
	e := c.endingOf()
	if e.last != nil {
		return
	}
	if e.lost != nil {
		k = *e.lost
	}
	switch {
	case e.err != nil:
		k.err = e.err
	case c.flags&sawClose != 0: // the peer closed and did not wait for our Close, nor for what was queued before it
		k.code, k.reason = e.code, e.reason // RFC 6455 7.1.5
	default:
		k.err = e.because(k.err.(*CloseError))
	}
	e.last = &k
	c.flags |= sawEnd | sawClose
	c.dropInbound()
	c.endInOrder()
	c.releaseInbox()
}

// onCloseFrame takes the peer's Close (RFC 6455 5.5.1).
func (c *Conn) onCloseFrame(payload []byte) {
	body, err := codec.ParseClose(payload)
	if err != nil {
		c.fail(err)
		return
	}
	c.flags |= sawClose
	e := c.endingOf()
	e.code, e.reason, e.reply = int(body.Code), body.Reason, int(body.Code)
	c.dropInbound()
	if c.phase == phaseHearing { // it can not be answered
		c.heardAll()
		return
	}
	c.endInOrder()
}

// advanceClosing takes the next step, if it can be taken.
func (c *Conn) advanceClosing() {
	c.loop.lookOnce()
	if c.phase >= phaseLingering {
		return
	}
	if c.flags&endWaits != 0 && c.hears() {
		if c.phase == phaseOpen && c.ReadyState() == Closing { // CloseWrite: the handler has its time to hear the rest, and no more
			c.awaitClose(false)
		}
		return
	}
	if c.ending != nil && c.ending.last != nil {
		c.finish(*c.ending.last)
		return
	}
	if c.phase <= phaseOpening || !c.tryLockOr(todoClose) {
		return
	}
	if c.todo.Load()&todoAbort != 0 { // Terminate was called: no Close frame leaves, and its own end comes next
		c.unlock()
		return
	}
	e := c.beginOnLoopLocked()
	left := c.out.AllLeft()
	c.unlock()
	over := pausedByHigh | toldHigh | pausedByBroadcasts
	if !c.hears() {
		over |= pausedByUser
	}
	if c.flags&over != 0 {
		c.flags &^= over
		c.pauseOver()
	}
	if c.hears() {
		c.wakeInbox() // the marks hold nothing back any more
	} else {
		c.dropInbox()
		c.readPastInbox()
	}
	switch {
	case !left || c.flags&sawClose == 0: // ours, or the peer's, is still to come
		c.awaitClose(left)
		c.watch()
	case e.err != nil:
		c.finish(closing{code: StatusAbnormalClosure, err: e.err})
	default:
		c.finish(closing{code: e.code, reason: e.reason, clean: true})
	}
}

// awaitClose has the clocks wait for a Close frame: ours to leave, or the peer's to come.
func (c *Conn) awaitClose(left bool) {
	p := c.progress
	if p == nil || p.bound == 0 {
		reads := p != nil && p.reads
		p = c.freshProgress(c.loop.now + c.loop.engine.conf.MaxClosing)
		p.reads = reads
		c.wake(0)
	}
	if left && !p.parted { // CloseTimeout starts
		p.parted = true
		p.restart(c.loop.now)
	}
}

// beginOnLoopLocked begins to close, if nobody has, and finds out why.
func (c *Conn) beginOnLoopLocked() *ending {
	if c.ReadyState() == Open && c.ending != nil {
		var buf [codec.MaxControlPayload]byte
		body := buf[:0]
		if e := c.ending; e.reply != StatusNoStatusRcvd {
			reason := ""
			if c.loop.engine.conf.RepeatCloseReason {
				reason = e.reason
			}
			body = codec.AppendCloseBody(body, e.reply, reason)
		}
		c.beginCloseLocked(body)
	}
	if c.ending == nil {
		c.ending = &ending{code: StatusAbnormalClosure}
	}
	if c.failed != notFailed && c.ending.err == nil {
		c.ending.err = c.failed.err()
		c.flags |= sawClose // we do not wait for the peer's
		c.loop.engine.stats.failures.add(c.failed.err().Code)
	}
	return c.ending
}

// finish is the end: CLOSED, the last callbacks, and what of the transport must outlive them.
func (c *Conn) finish(k closing) {
	if c.phase >= phaseLingering {
		return
	}
	if !c.tryLockOr(todoClose) {
		c.endingOf().last = &k
		return
	}
	was := ReadyState(c.state.Swap(uint32(Closed)))
	c.out.Drop()
	cancel := c.endContextLocked(k.cause())
	c.unlock()
	cancel()
	l := c.loop
	if o := c.opening; o != nil && o.late != nil {
		o.late.end(k.err)
	}
	c.dropDial(k.err)
	c.dropOpening()
	c.dropInbound()
	if c.fd >= 0 {
		l.wheel.Cancel(c.fd)
	}
	if c.phase <= phaseOpening {
		l.engine.stats.connecting.Add(-1)
		if c.flags&dialled == 0 { // nobody has heard of it
			c.bury(k.abort)
			return
		}
		c.noteFailed(k.err)
		l.engine.stats.closes.add(k.code)
	} else {
		l.engine.closed(c, was, k)
	}
	defer c.linger(k) // OnClose may end the goroutine
	c.callClose(CloseEvent{Code: k.code, Reason: k.reason, WasClean: k.clean, Err: k.err}, k.err != nil && !k.local)
}

// linger lets the peer take our last bytes: closing a socket with unread input resets
// it, and the reset may overtake the Close frame. So: our half ends, what the peer
// still sends is read and dropped, for a short while.
func (c *Conn) linger(k closing) {
	c.loop.lookOnce()
	if k.abort || c.flags&sawEnd != 0 || c.loop.stop { // else the peer has closed or broken a rule: sawClose
		c.bury(k.abort)
		return
	}
	if err := c.loop.sys.CloseWrite(int(c.fd)); err != nil {
		c.bury(false)
		return
	}
	c.phase = phaseLingering
	c.flags &^= writeWanted | unread // whatever stopped the reading: the peer's end is awaited, and nothing before it counts
	c.freshProgress(c.loop.now + lingerBound)
	c.wake(lingerTime / 4)
	c.watch() // the last step: it may find that the connection is over
}

// endLinger ends a lingering connection: the peer has gone, or had its time. It reports
// false when somebody has the lock, and is then to be called again.
func (c *Conn) endLinger() bool {
	if !c.tryLockOr(0) {
		return false
	}
	c.out.Drop() // what has not left of a refusal
	c.unlock()
	c.bury(false)
	return true
}

// bury takes the connection out of the poller and the table.
func (c *Conn) bury(abort bool) {
	if c.phase == phaseBuried {
		return
	}
	l := c.loop
	dialing := c.phase == phaseDialing // it has no transport
	c.phase = phaseBuried
	c.closeReceiver()
	c.dropProgress()
	l.conns.Add(-1)
	if !dialing {
		l.wheel.Cancel(c.fd)
		if c.flags&unwatched == 0 {
			l.sys.Remove(int(c.fd))
		}
		l.table.set(int(c.fd), nil)
		l.bury(int(c.fd), abort)
	}
	if c.flags&stranger != 0 {
		l.strangers--
		return
	}
	l.engine.connGone(c)
}

// probe looks whether a peer that is not read has gone: the poller does not tell.
func (c *Conn) probe() {
	switch err := c.loop.sys.Probe(int(c.fd)); err {
	case nil, io.EOF, netio.ErrAgain: // a half-closed peer may still read
	default:
		c.lose(closing{code: StatusAbnormalClosure, err: &CloseError{StatusAbnormalClosure, &lostError{err}}})
	}
}
