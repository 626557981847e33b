package engine

import "time"

// Hearing: a connection on which nothing can be sent any more still has what the peer said before, in the
// kernel and in what was read. That is heard to its end, a turn at a time and at the handler's pace, and the
// peer's Close frame with it; then the connection ends. Of a peer that is gone there is no more than the kernel holds.

// hearTime is how long nothing more may come before all is heard. A bridge's goroutine needs a moment.
const hearTime = 2 * time.Second

// heardMost is more than a kernel holds of what a peer has sent. One that lives, and goes on sending, is heard no further.
const heardMost = 8 << 20

// lose begins the end of a connection on which nothing more can be sent. k is how it ends, unless the peer
// has said how. With k.abort the peer is there yet, and hears no more of us.
func (c *Conn) lose(k closing) {
	c.loop.lookOnce()
	switch {
	case c.phase == phaseBuried:
		return
	case c.phase == phaseLingering:
		c.endLinger()
		return
	case c.phase == phaseOpening && c.flags&(dialled|unwatched) == dialled && c.ReadyState() == Connecting:
		c.loseAnswer(k.err)
		return
	case c.phase <= phaseOpening:
		k.abort = true
		c.finish(k)
		return
	}
	e := c.endingOf()
	if e.lost == nil {
		e.lost = &k
	}
	switch {
	case c.phase == phaseHearing:
		c.sendNoMore() // whoever had the lock may have sent
		c.loop.enqueue(c)
		return
	case c.flags&(sawClose|sawEnd) != 0, k.abort && c.flags&pausedByUser != 0: // no more is to be heard, or not now
		c.heardAll()
		return
	}
	c.phase = phaseHearing
	c.flags &^= pausedByHigh | toldHigh | writeWanted
	most := c.loop.engine.conf.MaxClosing
	if k.abort {
		c.flags |= alive
		most = hearTime
	}
	c.freshProgress(c.loop.now + most)
	c.sendNoMore()
	c.wake(hearTime / 4)
	c.pauseOver()
}

// sendNoMore has what is sent from now on counted, and not kept. Whoever holds the lock sends: then hearOn tries it again.
func (c *Conn) sendNoMore() {
	if !c.tryLockOr(todoFail) {
		return
	}
	held := c.out.Fail(c.outCall()) // nobody will read what is queued
	c.holds.And(^(heldByHigh | overHigh))
	c.unlock()
	if held {
		c.wakeInbox()
	}
}

// hearOn reads on where nothing more can be sent: whether the poller still tells or not.
func (l *loop) hearOn(c *Conn) {
	if c.phase != phaseHearing {
		return
	}
	c.sendNoMore()
	if !c.holdsHeard() {
		before := c.progress.heard
		l.look()
		l.onReadable(c)
		if c.phase >= phaseLingering {
			return
		}
		if c.flags&alive != 0 && c.progress.heard > heardMost {
			c.heardAll()
			return
		}
		if c.progress.heard != before && !c.holdsHeard() {
			l.enqueue(c)
		}
	}
	c.watch()
}

// hearsNoMore tells whether a read that finds nothing is the end: of a peer that lives and is to be left, or
// where no poller will tell of more.
func (c *Conn) hearsNoMore() bool { return c.phase == phaseHearing && c.flags&(alive|unwatched) != 0 }

// holdsHeard tells whether what was read has to wait for the handler: then no more is read.
func (c *Conn) holdsHeard() bool {
	return c.in != nil && c.in.rest != nil || c.flags&(unread&^pausedByUser) != 0
}

// onHearingTimer ends a connection of which all is heard that will ever come.
func (c *Conn) onHearingTimer() {
	p, now := c.progress, c.loop.now
	if c.flags&alive == 0 && c.holdsHeard() {
		if c.ReadyState() == Open {
			p.bound = now + c.loop.engine.conf.MaxClosing
		}
		p.restart(now)
	}
	if due := min(max(p.since, c.times.read)+hearTime, p.bound); due > now {
		c.loop.schedule(c, due)
		return
	}
	if now < p.bound && c.hearsMore() {
		return
	}
	c.heardAll()
}

// hearsMore reads before the clock ends a hearing, and reports whether that goes on, or was ended: the loop may have had no
// time to read.
func (c *Conn) hearsMore() bool {
	before := c.progress.heard
	c.loop.hearOn(c)
	if c.phase != phaseHearing {
		return true
	}
	if c.progress.heard == before && !c.arriving() {
		return false
	}
	c.wake(hearTime)
	return true
}

// heardAll ends a connection that was lost.
func (c *Conn) heardAll() { c.gone(*c.ending.lost) }
