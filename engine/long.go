package engine

import (
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// Long messages: compressed a slice a turn. What was made is collected, and sent as one frame when it is whole, for
// there are peers that fail on compressed messages in fragments; what passes Policy.FrameBytes leaves in fragments.

// longMessage is a message that is compressed slice by slice. While there is one, other
// data messages wait behind it, as behind an open writer, and control frames pass.
type longMessage struct {
	op       Opcode
	p        []byte       // all of it; nil: there is none
	buf      *pool.Buffer // where it is kept; nil: it is a prepared message, which is the garbage collector's
	from     int          // where in buf it begins
	prepared *Prepared
	off      int // what of it was compressed
	payload  uint64
	made     *pool.Buffer // what that became, as far as no frame has been made of it; nil: nothing is kept
	begun    bool         // its first frame was: it leaves in fragments
	place    bool         // it has one of its loop's places (collecting)
	close    []byte       // the body of the Close frame that waits behind all of it; nil: none does
	over     bool         // there is none, or its last slice was made: what waited follows now
}

// pending tells whether something is still to be made of it.
func (g *longMessage) pending() bool { return g.underWay() || g.close != nil }

// underWay tells whether what is sent now has to wait.
func (g *longMessage) underWay() bool { return g.making() || g.over }

// making tells whether slices are still to be compressed.
func (g *longMessage) making() bool { return g.p != nil }

// rest is how many bytes of the message are to be compressed yet.
func (g *longMessage) rest() uint64 { return uint64(len(g.p) - g.off) }

// collected is how many compressed bytes wait for the message to be whole. They count as all that waits does.
func (g *longMessage) collected() uint64 {
	if g.made == nil {
		return 0
	}
	return uint64(len(g.made.B))
}

// release gives back what it holds.
func (g *longMessage) release() {
	if g.buf != nil {
		g.buf.Release()
	}
	if g.made != nil && !plantedBug(bugLeakMade) {
		g.made.Release()
	}
}

// beginLongLocked compresses the first slice. If that does not become shorter the message leaves
// as it is: the sender forgets it has seen it.
func (c *Conn) beginLongLocked(o *outbound, m *outgoing) {
	e, slice := c.loop.engine, c.loop.engine.conf.slice
	s := c.senderLocked()
	b := e.pool.Get(slice + compressSlack)
	defer b.Release()
	s.Begin()
	b.B = s.Write(b.B, m.p[:slice], true)
	if len(b.B) >= slice && !c.ownCompressor() {
		s.Close()
		c.frameLocked(o, m, true, true)
		return
	}
	g := longMessage{op: m.op, p: m.p, prepared: m.prepared, payload: m.payload, close: o.long.close}
	if plantedBug(bugForgotClose) {
		g.close = nil
	}
	switch {
	case m.prepared != nil:
	case m.owned != nil:
		m.owned.Retain()
		g.buf, g.from = m.owned, m.from
	default:
		g.buf = e.pool.Get(len(m.p))
		g.buf.B = append(g.buf.B, m.p...)
		g.p = g.buf.B
	}
	o.long = g
	c.madeLocked(o, b.B, slice, false)
	c.parkLocked()
	c.notify(todoSlice)
}

// goOnLocked goes on, for a turn's worth, with a long message and those that wait behind it,
// and reports whether there is more.
func (c *Conn) goOnLocked() (more bool) {
	if !c.out.long.making() || c.sliceLocked() {
		c.afterLongLocked()
	}
	o := c.out
	return o != nil && (o.long.making() || o.long.over && !o.awaitsBroadcast())
}

// sliceLocked compresses one more slice, and reports whether the message is over with that.
func (c *Conn) sliceLocked() (over bool) {
	o, slice := c.out, c.loop.engine.conf.slice
	if o.hurried && c.tooLongStoredLocked(&o.long) {
		c.asItIsLocked(o)
		return true
	}
	p := o.long.p[o.long.off:]
	last := len(p) <= slice
	p = p[:min(len(p), slice)]
	b := c.loop.engine.pool.Get(len(p) + heldBack)
	s := c.senderLocked()
	if o.hurried {
		b.B = s.Store(b.B, p)
	} else {
		b.B = s.Write(b.B, p, !last && slice < lazyBatch)
	}
	if last {
		b.B = s.End(b.B)
	}
	over = c.madeLocked(o, b.B, len(p), last)
	b.Release()
	return over
}

// madeLocked takes b, which was made of the next n bytes of the message, its last if last is set, and
// reports whether the message is over. As long as it is within one frame nothing of it leaves, so it
// can still leave as it is.
func (c *Conn) madeLocked(o *outbound, b []byte, n int, last bool) (over bool) {
	g := &o.long
	g.off += n
	c.loop.stats.deflated(len(b), n, false)
	if g.begun {
		c.longFrameLocked(o, b, nil, last)
		return last
	}
	made := int64(g.collected()) + int64(len(b))
	fits := made <= c.loop.engine.conf.frame && !plantedBug(bugFrameEarly) || plantedBug(bugFrameLate)
	switch {
	case fits && !last:
		c.collectLocked(g, b)
		return false
	case made >= int64(g.off) && !c.ownCompressor():
		c.asItIsLocked(o)
		return true
	case fits:
		c.collectLocked(g, b)
		c.collectedLocked(o, true)
	default:
		c.collectedLocked(o, false)
		c.longFrameLocked(o, b, nil, last)
	}
	return last
}

// collectLocked keeps b until the message is whole.
func (c *Conn) collectLocked(g *longMessage, b []byte) {
	if g.made == nil {
		g.made = c.loop.engine.pool.Get(len(b))
	}
	g.made.GrowWithin(len(b), int(c.loop.engine.conf.frame))
	g.made.B = append(g.made.B, b...)
}

// collectedLocked sends what was collected as the message's first frame.
func (c *Conn) collectedLocked(o *outbound, last bool) {
	made := o.long.made
	if made == nil {
		return
	}
	o.long.made = nil // from here on it counts as queued
	c.longFrameLocked(o, made.B, made, last)
	made.Release()
}

// longFrameLocked sends p as the message's next frame, if it is not empty. The queue may keep owned, p's buffer.
func (c *Conn) longFrameLocked(o *outbound, p []byte, owned *pool.Buffer, last bool) {
	g := o.long
	c.leavePlaceLocked(&g)
	if o.long.place = false; last {
		o.long.endLocked()
		c.loop.stats.deflated(0, 0, true)
	}
	if len(p) > 0 {
		o.long.begun = !last
		c.frameLocked(o, &outgoing{op: g.op, p: p, owned: owned, payload: g.payload, rsv1: !g.begun}, !g.begun, last)
	}
	if last {
		g.release()
	}
}

// endLocked: what waits behind the message may follow.
func (g *longMessage) endLocked() { *g = longMessage{close: g.close, over: true} }

// asItIsLocked sends the message uncompressed, in one frame: the sender forgets it has seen it.
func (c *Conn) asItIsLocked(o *outbound) {
	c.senderLocked().Close()
	g := o.long
	c.leavePlaceLocked(&g)
	o.long.endLocked()
	m := &outgoing{op: g.op, p: g.p, owned: g.buf, from: g.from, payload: g.payload}
	if g.prepared != nil {
		m.frame = g.prepared.plain.bytes
	}
	c.frameLocked(o, m, true, true)
	g.release()
}

// tooLongStoredLocked tells whether the message passes one frame if the rest of it is stored. It then is better
// sent as it is, in one, than in fragments. A compressor of the connection's own has read what was collected.
func (c *Conn) tooLongStoredLocked(g *longMessage) bool {
	stored := int64(g.collected()) + heldBack + int64(g.rest()+g.rest()/storedShare)
	return !g.begun && stored > c.loop.engine.conf.frame && !c.ownCompressor()
}

// storedShare: the headers of stored blocks are less than one byte in so many, in slices of any level.
const storedShare = 512

// afterLongLocked sends what waited behind a long message, up to an open writer, and after the
// last of them the Close frame that did.
func (c *Conn) afterLongLocked() {
	c.releaseDeferredLocked()
	o := c.out
	if o == nil || o.long.making() || o.releasable() || o.awaitsBroadcast() {
		return
	}
	body := o.long.close
	o.long = longMessage{}
	switch {
	case body != nil:
		c.controlLocked(OpClose, body)
	case o.writer != nil:
		c.settleLocked(o) // what waits behind it is not ours to send any more
	case !c.corked.Load():
		c.detachLocked()
	}
}

// nextSlice goes on with a long message, for this turn, while the socket takes what is
// made of it. On the loop.
func (c *Conn) nextSlice() {
	if !c.tryLockOr(todoSlice) {
		return
	}
	more := false
	switch o := c.out; {
	case o == nil:
	case o.blocked:
		c.leavePlaceLocked(&o.long)
	case o.long.underWay():
		if more = true; c.takePlaceLocked(&o.long) {
			more = c.goOnLocked()
		}
		c.flushCork() // a worker's callback, whose end would do it, may wait for this in Drain
	}
	c.parkLocked()
	c.unlock()
	if more {
		c.loop.enqueue(c)
	}
}

// manyHeld is how many compressors messages under way may hold between their slices, in the whole process. Those of
// further messages take one anew for each slice, which costs no time that could be measured: 204,800 bytes of JSON became
// longer by less than 0.1 % at level 1, 0.2 at 6 and 2.4 at 9.
const manyHeld = 64

// maxCollecting is how many messages a loop collects at the same time, beyond their first slices: the others wait, and
// are served sooner in the end. With FrameBytes for each, it bounds what a crowd of long messages takes.
const maxCollecting = 16

// takePlaceLocked tells whether a slice of the message may be compressed now. One that leaves in fragments needs no place, and one
// whose peer does not read has none, so that nobody waits for that. On the loop.
func (c *Conn) takePlaceLocked(g *longMessage) bool {
	if !g.making() || g.begun || g.place {
		return true
	}
	if int(c.loop.collecting.Load()) >= c.loop.engine.conf.collecting {
		return false
	}
	c.loop.collecting.Add(1)
	g.place = true
	return true
}

// leavePlaceLocked gives the message's place back, if it has one.
func (c *Conn) leavePlaceLocked(g *longMessage) {
	if g.place {
		g.place = false
		c.loop.collecting.Add(-1)
	}
}

// dropLongLocked gives the message up: the connection is CLOSED.
func (c *Conn) dropLongLocked(g *longMessage) {
	c.leavePlaceLocked(g)
	g.release()
}

// parkLocked gives the compressor of a message under way back while the peer does not read, or while many
// are held: it is a megabyte, which no limit counts. What was collected stays, and counts.
func (c *Conn) parkLocked() {
	s := c.stages.Load()
	if c.out == nil || s == nil || !s.sends || !s.sender.Streaming() {
		return
	}
	if !c.out.blocked && deflate.HeldCompressors() <= manyHeld {
		return
	}
	b := c.loop.engine.pool.Get(heldBack)
	switch b.B = s.sender.Park(b.B); {
	case len(b.B) == 0:
	case c.out.long.making():
		c.madeLocked(c.out, b.B, 0, false)
	default: // an open writer's
		c.compressedLocked(c.out, &outgoing{}, b.B, false, false)
	}
	b.Release()
}
