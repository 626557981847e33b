package engine

import (
	"context"
	"errors"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// The life of a connection of a client until it is OPEN: it is dialled, it has its transport and sends its request, or it ends, and
// whoever waits for it is told. From the request on it is that of every connection (conn_life.go).

// dialState is what a client's connection needs until it is OPEN.
type dialState struct {
	plan
	conn    *Conn
	asked   context.Context // Dial's, for its values
	key     [24]byte        // Sec-WebSocket-Key
	answers handshake.AnswerParser
	opened  chan error // Dial waits for it; nil: Start was called

	stop context.CancelCauseFunc // ends the goroutine that works for it; nil: there is none

	// loop
	next     *dialState // of its loop's list
	previous *dialState
	listed   bool
	targets  []netio.Target // still to be tried
	attempts []attempt      // under way
	first    [1]attempt     // room for the only one of most
	tried    triedErrors    // what those said that failed
	due      time.Duration  // ConnectTimeout ends it
	stagger  time.Duration  // when the next target is tried, though others are under way
	securing bool           // the only attempt is connected, and TLS shakes hands on it
	answer   answerState
}

// list notes a dial that its loop has to end in time: ConnectTimeout begins.
func (l *loop) list(d *dialState) {
	l.look()
	d.due = l.now + l.engine.conf.dialing.connect
	d.listed, d.next = true, l.dials
	if l.dials != nil {
		l.dials.previous = d
	}
	l.dials = d
	if l.engine.closing.Load() { // it came after those that Shutdown found
		d.conn.giveUpClosing()
	}
}

// unlist forgets a dial, whose goroutine ends.
func (d *dialState) unlist() {
	if d.stop != nil {
		d.stop(context.Canceled)
	}
	if !d.listed {
		return
	}
	d.listed = false
	if d.next != nil {
		d.next.previous = d.previous
	}
	if d.previous != nil {
		d.previous.next = d.next
	} else {
		d.conn.loop.dials = d.next
	}
	d.next, d.previous = nil, nil
}

// setPeer notes who the peer is, where the descriptor has been noted: others may ask for the addresses. On the loop.
func (c *Conn) setPeer(peer peerAddr) {
	if c.ReadyState() == Connecting { // else todoAbort is on its way, and nobody is waited for
		c.lock()
		c.peer = peer
		c.unlock()
	}
}

// sendRequest begins the opening handshake on a transport that is in the table.
func (c *Conn) sendRequest() {
	l := c.loop
	l.look()
	c.phase = phaseOpening
	c.times.begin(l.now)
	if c.ReadyState() == Connecting { // else todoAbort is on its way, and nobody is waited for
		c.lock()
		var room [1024]byte
		c.out.Raw(c.outCall(), c.opening.dial.appendRequest(room[:0]))
		c.flushCork()
		c.unlock()
	}
	c.wake(l.engine.conf.HandshakeTimeout)
	c.watch()
}

// opens is what is called when the connection has opened: OnOpen, and then Dial may return, however OnOpen ends.
func (c *Conn) opens() func(*Conn) {
	open := c.route().hooks.open
	if c.opening == nil || c.opening.dial == nil || c.opening.dial.opened == nil {
		return open
	}
	opened := c.opening.dial.opened
	c.opening.dial.opened = nil
	return func(c *Conn) {
		defer func() { opened <- nil }()
		open(c)
	}
}

// failDial ends a connection that was not made. On the loop.
func (c *Conn) failDial(err error) {
	c.finish(closing{code: StatusAbnormalClosure, err: &CloseError{StatusAbnormalClosure, err}, abort: true})
}

// failFrom does so, if the connection has not come further than a phase. Any goroutine.
func (c *Conn) failFrom(most phase, err error) {
	c.loop.post(task{call: func() {
		if c.phase <= most {
			c.failDial(err)
			c.settle()
		}
	}})
}

// giveUp ends a connection that is CONNECTING, and reports whether it was. Any goroutine.
func (c *Conn) giveUp(err error) bool {
	if !c.state.CompareAndSwap(uint32(Connecting), uint32(Closing)) {
		return false
	}
	c.failFrom(phaseOpening, err)
	return true
}

// giveUpClosing ends one for Shutdown.
func (c *Conn) giveUpClosing() { c.giveUp(c.dialEnded("client-closed", errClientEnded)) }

// dialEnded is endedDial. On the loop, which alone writes what was agreed.
func (c *Conn) dialEnded(reason string, err error) error {
	return endedDial(c.agreed.Value().host, reason, err)
}

// endedDial is why an attempt ended that nobody but us has ended.
func endedDial(host, reason string, err error) error { return &DialError{"dial", host, reason, err} }

// terminated is how a connection ends that Terminate ends, or Close while CONNECTING, or the end of the engine.
func (c *Conn) terminated() closing {
	k := closing{code: StatusAbnormalClosure, err: ErrTerminated, abort: true, local: true}
	if c.flags&dialled != 0 && c.phase <= phaseOpening { // a dial that failed is an error, whoever ended it (WHATWG)
		reason, err := "ended", errEndedEarly
		if c.loop.engine.closing.Load() {
			reason, err = "client-closed", errClientEnded
		}
		k.local, k.err = false, &CloseError{StatusAbnormalClosure, c.dialEnded(reason, err)}
	}
	return k
}

// dropDial gives up what a client's connection had while it was made; err is why that failed.
func (c *Conn) dropDial(err error) {
	if c.opening == nil || c.opening.dial == nil {
		return
	}
	d := c.opening.dial
	d.targets = nil
	for len(d.attempts) > 0 {
		c.dropAttempt(d.attempts[0])
	}
	d.unlist()
	if d.opened != nil {
		if k := new(CloseError); errors.As(err, &k) {
			err = k.Err // whoever dials knows no close codes yet
		}
		d.opened <- err
	}
	c.opening.dial = nil
}

// noteFailed counts a connection that never opened, and logs it.
func (c *Conn) noteFailed(err error) {
	reason := failureReason(err)
	c.loop.engine.stats.dialsFailed.add(reason)
	c.loop.engine.log().Debug("gannet: a dial failed", "reason", reason, "err", err, "conn", c.id, "host", c.agreed.Value().host, "remote", c.peer.addrPort())
}

// endDials ends those that have no transport yet. On the loop.
func (l *loop) endDials(end func(*Conn)) {
	for d := l.dials; d != nil; {
		next := d.next
		end(d.conn)
		d = next
	}
}
