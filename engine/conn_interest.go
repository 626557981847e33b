package engine

import "github.com/gannet-ws/gannet/engine/internal/netio"

// What the poller is asked to tell of a connection, and what follows when there is room to write.

// onWritable writes on, now that the socket has room.
func (c *Conn) onWritable() {
	c.loop.lookOnce()
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
	c.settle()
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
	if c.phase == phaseBuried || c.phase == phaseDialing {
		return
	}
	want := c.wanted()
	if want == c.watched {
		return
	}
	if err := c.loop.sys.Interest(int(c.fd), c.watched, want); err != nil {
		c.loop.engine.log().Error("gannet: poller refused a change of interest", "err", err, "conn", c.id, "remote", c.peer.addrPort())
		c.loop.sys.Remove(int(c.fd))
		c.watched = 0
		c.flags |= unwatched
		c.lose(closing{code: StatusAbnormalClosure, err: &CloseError{StatusAbnormalClosure, &lostError{err}}})
		c.settle() // OnClose may have run
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
