package engine

import (
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// What each clock does when it is due: see the table in conn_clocks.go.

// onLookDue looks at a slow peer. One that has taken all is like any other again: its clocks start now, or, when a
// ping waits for its pong, when that comes.
func (c *Conn) onLookDue() {
	if !c.look(progressBytes) {
		return
	}
	if p := c.progress; p != nil && c.ReadyState() == Open && c.flags&pingOnWay == 0 && !c.waitsForPeer() && c.times.pinged == 0 {
		c.times.read = max(c.times.read, p.since)
		c.dropProgress()
	}
}

func (c *Conn) onMaxLifetime() { c.goAway("lifetime", "maximum lifetime reached", ErrMaxLifetime) }

func (c *Conn) onIdle() {
	l := c.limits.Load()
	switch {
	case c.lastLook() || c.onlySlow(c.times.read, l.IdleTimeout):
	case l.PingInterval > 0 && c.times.pinged == 0 && c.flags&pingOnWay == 0:
		// Nobody has asked the peer: its ping was due long ago, and we were not there to send it (the process was stopped, or
		// a callback held the loop). It is asked now, and has as long to answer as it would have had then.
		c.times.read = c.loop.now - l.PingInterval
		c.onPingDue()
	default:
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
	if c.times.read == before && c.arriving() {
		c.readOn()
	}
	return c.times.read != before || c.ReadyState() > Open || c.phase == phaseHearing
}

// arriving tells whether what the peer said waits for a bridge's reading goroutine, which had no time either: a process
// that was stopped goes on with all of its goroutines at once.
func (c *Conn) arriving() bool {
	return c.loop.bridge != nil && c.watched&netio.Readable != 0 && c.loop.bridge.Arriving(int(c.fd))
}

// onlySlow looks, before a clock that began at from ends a silent peer, whether it still takes what we have
// for it, or its time from then on is not up.
func (c *Conn) onlySlow(from, after time.Duration) bool {
	if !c.look(progressBytes) {
		return true
	}
	return c.progress != nil && (c.waitsForPeer() && c.limits.Load().WriteStallTimeout > 0 ||
		max(from, c.progress.since)+after > c.loop.now)
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
			c.ending = &ending{code: StatusAbnormalClosure}
		}
		c.ending.why = why
		var body [codec.MaxControlPayload]byte
		c.beginCloseLocked(codec.AppendCloseBody(body[:0], StatusGoingAway, reason))
	}
	c.unlock()
}

func (c *Conn) onPongLate() {
	if c.lastLook() || c.onlySlow(c.times.pinged, c.pongPatience(&c.limits.Load().Limits)) {
		return
	}
	c.loop.engine.stats.causes.add("pong-timeout")
	c.finish(closing{code: StatusAbnormalClosure, err: &CloseError{StatusAbnormalClosure, ErrPongTimeout}, abort: true})
}

// onWriteStall ends a connection whose peer takes nothing. The loop may have had no time to write on.
func (c *Conn) onWriteStall() {
	if c.flags&writeWanted != 0 {
		c.onWritable()
	}
	if c.ReadyState() != Open || c.phase == phaseHearing || !c.look(progressBytes) || !c.waitsForPeer() ||
		c.movedAt()+c.limits.Load().WriteStallTimeout > c.loop.now {
		return
	}
	c.loop.engine.stats.causes.add("write-stall")
	c.loop.engine.stats.failures.add(StatusTryAgainLater)
	c.lose(closing{code: StatusAbnormalClosure, err: &CloseError{StatusTryAgainLater, ErrSlowConsumer}, abort: true})
}

// onPingDue pings. Whoever holds the lock does it for us.
func (c *Conn) onPingDue() {
	c.flags |= pingOnWay
	if !c.tryLockOr(todoPing) {
		return
	}
	r := c.reachLocked()
	c.pingLocked()
	c.seePingLocked()
	c.unlock()
	if c.progress == nil && r.waits() { // the ping is behind that
		c.startProgress(r)
	}
}

// pingLocked sends a ping of the engine's own.
func (c *Conn) pingLocked() {
	if c.ReadyState() != Open {
		return
	}
	c.out.Probe(c.outCall())
}

// seePingLocked starts the clock of a ping that has left. On the loop.
func (c *Conn) seePingLocked() {
	if c.flags&pingOnWay == 0 || c.owed.Load()&todoPing != 0 || c.out.PingWaits() {
		return
	}
	// Any byte from now on is an answer: a pong may come back within this moment. What was done since the clock was read
	// last may have taken long.
	c.flags &^= pingOnWay
	c.loop.look()
	c.times.pinged = c.loop.now
}

// onConnectingTimer bounds the opening handshake, and looks whether a client that waits for a decision has gone.
func (c *Conn) onConnectingTimer() {
	late := c.opening != nil && c.opening.late != nil
	if late {
		c.creditAbsence()
	}
	due := c.times.opened + c.loop.engine.conf.HandshakeTimeout
	if o := c.opening; o != nil && o.dial != nil && o.dial.answer.due > 0 {
		due = min(due, o.dial.answer.due)
	}
	if due > c.loop.now {
		if late {
			if c.leftBeforeOpen() {
				return
			}
			due = min(due, c.loop.now+decisionProbe)
		}
		c.loop.schedule(c, due)
		return
	}
	c.lastLook()
	if c.ReadyState() != Connecting || c.phase == phaseBuried {
		return // it was met
	}
	if c.arriving() {
		c.wake(wheelTick)
		return
	}
	c.onHandshakeLate()
}

// onHandshakeLate ends an opening handshake that took too long. Who has begun a request is told (RFC 9110 15.5.9), and has
// lingerTime to read it: what it still says of its head makes that no longer.
func (c *Conn) onHandshakeLate() {
	switch o := c.opening; {
	case c.flags&dialled != 0:
		c.answerEnds(ErrHandshakeTimeout)
		return
	case o == nil || !o.begun(c.loop.engine.conf):
		if !c.expiresTLS() {
			c.loop.engine.stats.refusals.add(requestTimeout.Reason)
		}
		c.finish(closing{code: StatusAbnormalClosure, err: ErrHandshakeTimeout})
		return
	case o.late == nil:
		c.refuse(requestTimeout)
	case o.late.decision.Load() != nil: // just in time
		c.decideLate()
		return
	default:
		o.late.end(ErrHandshakeTimeout)
		c.refuse(decisionTimeout)
	}
	if c.progress != nil {
		c.progress.unheard = true
	}
}

// creditAbsence: the time in which we did not look at an upgrade that waits for its decision does not count, if that was long.
// The process was stopped, then, and whoever is to decide had no time either.
func (c *Conn) creditAbsence() {
	if away := c.loop.now - c.times.read; away > absence { // nothing is read meanwhile: it is when we looked last
		c.times.opened += away
	}
	c.times.read = c.loop.now
}

// onClosingTimer bounds a closing. As long as the peer takes what is queued for it, it goes on.
func (c *Conn) onClosingTimer() {
	p, l := c.progress, c.limits.Load()
	if p == nil || p.bound == 0 {
		return // the first step is still to come
	}
	if !c.look(progressBytes) {
		c.wake(wheelTick)
		return
	}
	after := l.CloseTimeout
	switch {
	case p.waits && !p.reads:
		after = min(max(after, closingLeast), l.stallTime())
	case p.waits || p.heard > 0 && c.in != nil && c.in.InMessage(): // RFC 6455 5.5.1: it may end its message first
		after = max(after, l.stallTime())
	}
	if p.last.ours || p.heard >= progressBytes || c.flags&unread != 0 && c.hears() {
		p.restart(c.loop.now)
	}
	if due := min(p.since+after, p.bound); due > c.loop.now {
		c.loop.schedule(c, min(due, c.loop.now+max(after/4, wheelTick)))
		return
	}
	c.lastLook()
	switch {
	case c.ReadyState() != Closing || c.phase >= phaseLingering: // it was met
	case c.arriving() && c.loop.now < p.bound:
		c.wake(wheelTick)
	default:
		c.onClosingOver()
	}
}

// onClosingOver ends a closing that took too long.
func (c *Conn) onClosingOver() {
	e, over := c.ending, ErrCloseTimeout
	if c.progress.waits {
		over = errCloseStalled
		c.loop.engine.stats.causes.add("write-stall")
	}
	k := closing{code: StatusAbnormalClosure, err: e.err, abort: true}
	if k.err == nil {
		k.err = e.because(&CloseError{StatusAbnormalClosure, over})
	}
	c.finish(k)
}

// onLingerTimer ends a lingering that was long enough: while the peer takes, or says, anything it reads our
// last bytes yet, or will when it has said what it has to say.
func (c *Conn) onLingerTimer() {
	p, now := c.progress, c.loop.now
	if !c.look(1) {
		c.wake(wheelTick)
		return
	}
	if p.heard > 0 && !p.unheard {
		p.restart(now)
	}
	due := p.bound
	if p.last.unacked == 0 || p.last.queued > 0 { // a refusal that does not even leave
		due = min(due, p.since+lingerTime)
	}
	switch {
	case due > now:
		c.loop.schedule(c, min(due, now+lingerTime/4))
	case !c.endLinger():
		c.wake(wheelTick)
	}
}
