package engine

import "github.com/gannet-ws/gannet/codec"

// What others have left to the loop: the bits of Conn.todo, each with what is done for it.

// serve does what others left to the loop.
func (c *Conn) serve() {
	c.loop.lookOnce()
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
	if bits&todoAbort != 0 && c.phase < phaseLingering {
		c.finish(c.terminated())
		return
	}
	if bits&todoDecide != 0 {
		c.decideLate()
	}
	if bits&todoFail != 0 {
		c.lose(closing{code: StatusAbnormalClosure, err: &CloseError{StatusAbnormalClosure, ErrAbnormal}})
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
	h := &c.route().hooks
	if c.ReadyState() != Open || c.phase == phaseHearing {
		return // nothing can be sent any more, and closing resumes reading
	}
	if bits&todoDrain != 0 && c.flags&(pausedByHigh|toldHigh) != 0 {
		c.lowAgain()
	}
	if bits&todoHigh != 0 && c.flags&(pausedByHigh|toldHigh) == 0 {
		if c.readsAbove() {
			c.flags |= toldHigh
		} else {
			c.flags |= pausedByHigh
			c.loop.stats.pauses.Add(1)
		}
		c.call(h.highWater)
	}
	if c.flags&(pausedByHigh|toldHigh) != 0 && c.holds.Load()&(heldByHigh|overHigh) == 0 && c.ReadyState() == Open { // OnHighWater may have closed
		c.lowAgain()
	}
}

// readsAbove tells whether the peer is read while more than HighWater is queued for it. What a server has queued are mostly answers, and
// a peer that does not take them may ask no more. What a client has queued are mostly questions: a server that does not take more
// of them until its answers are read would wait for ever, and so would we.
func (c *Conn) readsAbove() bool { return c.loop.engine.role == codec.RoleClient }

func (c *Conn) lowAgain() {
	c.flags &^= pausedByHigh | toldHigh
	c.readAgain()
	c.pauseOver()
	c.wakeInbox()
	c.call(c.route().hooks.drain)
}

func (c *Conn) settlePause() {
	if c.holds.Load()&heldByUser != 0 && c.ReadyState() != Closed { // what lingers reads until the peer's end
		c.flags |= pausedByUser
	} else if c.flags&pausedByUser != 0 {
		c.flags &^= pausedByUser
		c.readAgain()
		c.pauseOver()
	}
	if c.holds.Load()&heldBack == 0 { // Pause and Resume may have come as one
		c.wakeInbox()
	}
}

// remark looks at the water marks after they were moved. On the loop.
func (c *Conn) remark() {
	if c.tryLockOr(todoMarks) {
		c.out.Remark(c.outCall())
		c.unlock()
	}
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
