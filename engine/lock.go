package engine

// The connection's lock orders what is sent. Any goroutine may hold it across a
// write to the socket, so the loop never waits for it: it tries, and when somebody
// else has it, leaves a bit in owed, which the holder serves on unlock, or hands over a
// call (handed.go). Everybody unlocks with unlock, which makes that promise good. Nobody copies
// or compresses more than some 100 KiB under it: see send.go.

// tryLockOr locks, or leaves bits to the holder and reports false. The second try
// closes the gap in which the holder unlocked before it could see the bits.
func (c *Conn) tryLockOr(bits uint32) bool {
	if c.mu.TryLock() {
		c.takeHanded()
		return true
	}
	schedulingPoint(c)
	c.owed.Or(bits)
	schedulingPoint(c)
	if plantedBug(bugLostOwed) || !c.mu.TryLock() {
		return false
	}
	c.owed.And(^bits)
	c.takeHanded()
	return true
}

// unlock releases the lock and serves what was left meanwhile.
func (c *Conn) unlock() {
	c.mu.Unlock()
	schedulingPoint(c)
	for c.owed.Load() != 0 && c.mu.TryLock() {
		bits := c.owed.Swap(0)
		c.takeHanded()
		if bits&todoFlush != 0 {
			c.flushCork()
		}
		if bits&todoPing != 0 {
			c.pingLocked()
		}
		c.mu.Unlock()
		c.notify(bits &^ (todoFlush | todoHanded))
	}
}

// notify leaves work to the loop and sees to it that it is done: by the callback's end
// when one is running on the loop, else by waking the loop. Any goroutine.
func (c *Conn) notify(bits uint32) {
	if bits == 0 || c.loop == nil { // the zero Conn has none
		return
	}
	first := c.todo.Or(bits) == 0
	schedulingPoint(c)
	if first && (!c.corked.Load() || c.loop.engine.workers != nil) {
		c.loop.post(task{conn: c})
	}
}
