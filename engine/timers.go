package engine

import (
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

const (
	// tick is the resolution of a connection's clocks; 32 bits of it are 497 days.
	tick = 10 * time.Millisecond
	// wheelTick and wheelSlots: the wheel looks at an idle connection every 51 s at the most.
	wheelTick  = 100 * time.Millisecond
	wheelSlots = 512
	// lingerTime is how long a closed connection's peer has to take our last bytes.
	lingerTime = 2 * time.Second
	// probeInterval is how often a connection that is not read is asked whether it still lives.
	probeInterval = 5 * time.Second
)

// ticks is a moment; differences are right across the wrap for spans below 248 days.
type ticks uint32

func tickOf(t time.Duration) ticks { return ticks(t / tick) }

// since is how long ago t was.
func (t ticks) since(now time.Duration) time.Duration {
	return time.Duration(int32(tickOf(now)-t)) * tick
}

// times are a connection's clocks. One wheel timer serves them all: reading only notes
// the time, and when the timer fires it finds what is really due.
type times struct {
	read     ticks // bytes arrived
	progress ticks // bytes left, or began to wait
	opened   ticks
	pinged   ticks
	deadline ticks // of the handshake, the closing handshake, or lingering

	controls uint32 // control frames in the second of controlsAt
	control  ticks
}

func (t *times) begin(now time.Duration) {
	t.read, t.opened, t.pinged = tickOf(now), tickOf(now), tickOf(now)
}

// setDeadline bounds the present phase, once: it is not moved by what a peer does.
func (c *Conn) setDeadline(d time.Duration) {
	if c.flags&deadlineSet != 0 && c.flags&lingering == 0 {
		return
	}
	c.flags |= deadlineSet
	c.times.deadline = tickOf(c.loop.now + d)
	c.loop.schedule(c, c.loop.now+d+tick)
}

func (c *Conn) clearDeadline() { c.flags &^= deadlineSet }

// countControl counts a control frame and reports whether the rate is within bounds.
func (c *Conn) countControl() bool {
	now := c.loop.now
	if c.times.control.since(now) >= time.Second {
		c.times.control, c.times.controls = tickOf(now), 0
	}
	if c.times.controls < 1<<31 {
		c.times.controls++
	}
	return int(c.times.controls) <= c.limits.Load().MaxControlRate
}

// onTimer does what is due, and sets the timer to what is due next.
func (c *Conn) onTimer() {
	if c.flags&buried != 0 {
		return
	}
	if c.flags&deadlineSet != 0 {
		if left := -c.times.deadline.since(c.loop.now); left > 0 {
			c.loop.schedule(c, c.loop.now+left)
		} else {
			c.onDeadline()
		}
	} else if c.ReadyState() == Open {
		c.onOpenTimer()
	}
	c.settleTurn()
}

func (c *Conn) onDeadline() {
	if c.flags&lingering == 0 {
		c.lastLook()
		if c.flags&deadlineSet == 0 || c.flags&(lingering|buried) != 0 {
			return // it was met
		}
	}
	switch {
	case c.flags&lingering != 0:
		if !c.endLinger() {
			c.loop.schedule(c, c.loop.now+tick)
		}
	case c.ReadyState() == Connecting:
		c.loop.engine.stats.refusals.add("timeout")
		c.finish(closing{code: codeAbnormal, err: ErrHandshakeTimeout, abort: true})
	case c.ending != nil && c.ending.err != nil:
		c.finish(closing{code: codeAbnormal, err: c.ending.err, abort: true})
	default:
		c.finish(closing{code: codeAbnormal, err: c.ending.because(&CloseError{codeAbnormal, ErrCloseTimeout}), abort: true})
	}
}

// clock is one thing that may come due on an open connection.
type clock struct {
	from  ticks
	after time.Duration
	then  func(*Conn)
}

// onOpenTimer looks at an open connection's clocks.
func (c *Conn) onOpenTimer() {
	now, l, t := c.loop.now, c.limits.Load(), &c.times
	next := time.Duration(-1)
	for _, k := range [...]clock{
		{t.opened, l.MaxLifetime, (*Conn).onMaxLifetime},
		{t.progress, c.ifWriting(l.WriteStallTimeout), (*Conn).onWriteStall},
		{t.read, c.ifReading(l.IdleTimeout), (*Conn).onIdle},
		{t.pinged, c.ifPinged(l.PongTimeout), (*Conn).onPongLate},
		{t.lastHeard(), c.ifReading(l.PingInterval), (*Conn).onPingDue},
		{c.looked(), c.ifUsed(), (*Conn).onRestDue},
		{tickOf(now), c.ifBlind(), nil},
	} {
		if k.after <= 0 {
			continue
		}
		left := k.after - k.from.since(now)
		if left <= 0 {
			k.then(c)
			if c.ReadyState() != Open || c.flags&deadlineSet != 0 {
				return
			}
			left = k.after
		}
		if next < 0 || left < next {
			next = left
		}
	}
	if d := c.ifPinged(l.PongTimeout); d > 0 { // maybe pinged just now
		next = min(next, d-t.pinged.since(now))
	}
	if c.ifBlind() > 0 {
		c.probe()
	}
	if next >= 0 && c.flags&buried == 0 && !plantedBug(bugTimerOnce) {
		c.loop.schedule(c, now+next)
	}
}

// lastHeard is what PingInterval counts from: bytes, or our last ping.
func (t *times) lastHeard() ticks {
	if int32(t.pinged-t.read) > 0 {
		return t.pinged
	}
	return t.read
}

// reschedule sets the timer anew after a clock was started.
func (c *Conn) reschedule() {
	if c.ReadyState() == Open {
		c.onOpenTimer()
	}
}

func (c *Conn) ifWriting(d time.Duration) time.Duration {
	if c.flags&writeWanted == 0 {
		return 0
	}
	return d
}

// ifReading: while we do not read, the peer's silence is our own doing.
func (c *Conn) ifReading(d time.Duration) time.Duration {
	if c.flags&(pausedByUser|pausedByHigh|pausedByInbox|pausedByBroadcasts|pausedByWork|endWaits) != 0 {
		return 0
	}
	return d
}

func (c *Conn) ifPinged(d time.Duration) time.Duration {
	if int32(c.times.pinged-c.times.read) <= 0 {
		return 0
	}
	return c.ifReading(d)
}

// ifBlind: not watched for reading, so a reset would go unnoticed.
func (c *Conn) ifBlind() time.Duration {
	if c.watched&netio.Readable != 0 {
		return 0
	}
	return probeInterval
}

func (c *Conn) onMaxLifetime() { c.goAway("lifetime", "maximum lifetime reached", ErrMaxLifetime) }

func (c *Conn) onIdle() {
	if !c.lastLook() {
		c.goAway("idle", "idle", ErrIdleTimeout)
	}
}

// lastLook reads before a clock ends the connection, and reports whether that is no longer
// called for. The loop may have had no time to: a callback held it, or the machine slept,
// and then everybody's clock is up while what they said waits in the kernel.
func (c *Conn) lastLook() (heard bool) {
	before := c.times.read
	if c.watched&netio.Readable != 0 {
		c.loop.onReadable(c)
	}
	return c.times.read != before || c.ReadyState() > Open
}

// goAway closes with 1001. Like everything on the loop it does not wait for the lock: when
// its holder lets go, the clocks are looked at again.
func (c *Conn) goAway(cause, reason string, why error) {
	if !c.tryLockOr(todoTimers) {
		return
	}
	if c.ReadyState() == Open {
		c.loop.engine.stats.causes.add(cause)
		if c.ending == nil {
			c.ending = &ending{code: codeAbnormal}
		}
		c.ending.why = why
		var body [codec.MaxControlPayload]byte
		c.beginCloseLocked(codec.AppendCloseBody(body[:0], codeGoingAway, reason))
	}
	c.unlock()
}

func (c *Conn) onPongLate() {
	if c.lastLook() {
		return
	}
	c.loop.engine.stats.causes.add("pong-timeout")
	c.finish(closing{code: codeAbnormal, err: &CloseError{codeAbnormal, ErrPongTimeout}, abort: true})
}

func (c *Conn) onWriteStall() {
	before := c.times.progress
	if c.onWritable(); c.times.progress != before || c.flags&writeWanted == 0 || c.ReadyState() > Open {
		return // the loop had no time to write on: see lastLook
	}
	c.loop.engine.stats.causes.add("write-stall")
	c.loop.engine.stats.failures.add(codeTryAgainLater)
	c.finish(closing{code: codeAbnormal, err: &CloseError{codeTryAgainLater, ErrSlowConsumer}, abort: true})
}

func (c *Conn) onPingDue() {
	// Any byte from this tick on is an answer: a pong may come back within it.
	c.times.pinged = tickOf(c.loop.now)
	if c.tryLockOr(0) { // somebody who sends just now tests the peer as well
		c.controlLocked(OpPing, nil)
		c.unlock()
	}
}
