package engine

import "github.com/gannet-ws/gannet/engine/internal/outgoing"

// The connection's lock orders what is sent. Any goroutine may hold it across a
// write to the socket, so the loop never waits for it: it tries, and when somebody
// else has it, leaves a bit in owed, which the holder serves on unlock, or hands over a
// call (conn_handed.go). Everybody unlocks with unlock, which makes that promise good. Nobody copies
// or compresses more than some 100 KiB under it: see conn_send.go.

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
	if !c.mu.TryLock() {
		return false
	}
	c.owed.And(^bits)
	c.takeHanded()
	return true
}

// unlock releases the lock and serves what was left meanwhile.
func (c *Conn) unlock() {
	if c.out.HasDue() {
		c.tellDueLocked()
	}
	c.mu.Unlock()
	schedulingPoint(c)
	if c.owed.Load() != 0 {
		c.serveOwed()
	}
}

// serveOwed does what was left to whoever had the lock.
func (c *Conn) serveOwed() {
	for c.owed.Load() != 0 && c.mu.TryLock() {
		bits := c.owed.Swap(0)
		c.takeHanded()
		if bits&todoFlush != 0 {
			c.flushCork()
		}
		if bits&todoPing != 0 {
			c.pingLocked()
		}
		c.tellDueLocked()
		c.mu.Unlock()
		c.notify(bits &^ (todoFlush | todoHanded))
	}
}

// notify leaves work to the loop and sees to it that it is done: by the callback's end
// when one is running on the loop, else by waking the loop. Any goroutine.
func (c *Conn) notify(bits uint32) {
	l := c.home()
	if bits == 0 || l == nil { // the zero Conn has none
		return
	}
	first := c.todo.Or(bits) == 0
	schedulingPoint(c)
	if first && (!c.corked.Load() || l.engine.workers != nil) {
		c.post(task{conn: c})
	} else if m := limboOf(l); m != nil { // nobody has served there what was first
		m.Wake()
	}
}

// outCall is what holds for a call of c.out that is made now. Under mu.
func (c *Conn) outCall() (k outgoing.Call) {
	c.setCall(&k)
	return k
}

// setCall is outCall where every message comes by: what returns a whole Call copies it, with loads that have to wait for the
// stores just before them.
func (c *Conn) setCall(k *outgoing.Call) {
	k.Lane, k.Limits = &c.loop.outgoing, &c.limits.Load().outgoing
	k.ID, k.After = int(c.fd), c.announced()
	k.Corked, k.Spare = c.corked.Load(), c.spare()
}

// outCallAfter is it for one that was made when the broadcast of this number was the newest.
func (c *Conn) outCallAfter(number uint32) (k outgoing.Call) {
	c.setCall(&k)
	k.After = number
	return k
}

// spare is the loop's, for the connection that it has corked; nil for all others. Under mu. A loop that cannot take the lock to
// uncork a connection takes another spare, for whoever has the lock may still use this one.
func (c *Conn) spare() *outgoing.Spare {
	s := c.loop.spareOut.Load() // before corked: so it is the connection's while that is set
	if !c.corked.Load() {
		return nil
	}
	return s
}

// todoOfDue is what the loop does about each thing that comes due.
var todoOfDue = [...]struct {
	due  outgoing.Due
	todo uint32
}{
	{outgoing.Room, todoWatch}, {outgoing.Broken, todoFail}, {outgoing.High, todoHigh}, {outgoing.Low, todoDrain}, {outgoing.Pong, todoPong},
	{outgoing.Closing, todoClose}, {outgoing.Slices, todoSlice}, {outgoing.Asking, todoHear},
}

// tellDueLocked sees to what has come due in c.out. Under mu: unlock does it for everybody.
func (c *Conn) tellDueLocked() {
	due := c.out.Due()
	if due == 0 {
		return
	}
	if due&(outgoing.High|outgoing.Low) != 0 {
		bit := heldByHigh
		if c.readsAbove() {
			bit = overHigh
		}
		if c.out.IsHigh() {
			c.holds.Or(bit)
		} else {
			c.holds.And(^bit)
		}
	}
	if due&outgoing.Used != 0 {
		c.used(c.madeDeflation())
	}
	if due&outgoing.Corked != 0 {
		c.boundCork()
	}
	bits := uint32(0)
	for _, k := range todoOfDue {
		if due&k.due != 0 {
			bits |= k.todo
		}
	}
	c.notify(bits)
}
