package engine

import (
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// The compress stage (RFC 7692 7.2.1): between the limits and the frame, under the
// connection's lock, so that the order of its history is the order on the wire. What is
// dropped, or sent as it is, never gets here.

const (
	// sliceBytes is how much of a message is compressed in one turn: about half a
	// millisecond, up to level 6. A longer message leaves in fragments, one a turn.
	sliceBytes = 128 << 10
	// compressSlack is by how much a message that does not shrink may grow at most, and
	// what klauspost/compress keeps back of earlier slices.
	compressSlack = 64
	heldBack      = 80 << 10
)

// lazyBatch: unflushed, klauspost's levels 7 to 9 compress nothing before they have as much, and
// then all of it.
const lazyBatch = 32 << 10

// sliceAt is sliceBytes for the levels that are slower: 128 KiB took 6 ms at level 7, 11 at
// 8 and 30 at 9.
func sliceAt(level int) int {
	return sliceBytes >> [...]int{7: 2, 8: 3, 9: 5}[level]
}

// mayCompress tells whether a message of n bytes (-1: not known yet) with these options is to be compressed.
// Any goroutine, without the lock: Options.Compress is the user's code.
func (c *Conn) mayCompress(op Opcode, n int, opts []SendOption) bool {
	if c.ReadyState() != Open || !c.deflates || slices.Contains(opts, NoCompress) {
		return false
	}
	e := c.loop.engine
	if n >= 0 && n < e.conf.deflateMin {
		return false
	}
	return e.choosesCompress(op, n)
}

// choosesCompress asks Options.Compress; its panic must not cost a loop.
func (e *engine) choosesCompress(op Opcode, n int) (yes bool) {
	if e.conf.Compress == nil {
		return true
	}
	defer func() {
		if r := recover(); r != nil {
			e.stats.panics.Add(1)
			e.log().Error("gannet: Options.Compress panicked; the message is sent as it is",
				"panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			yes = false
		}
	}()
	return e.conf.Compress(op, n)
}

// senderLocked is the connection's sender, made with the first message that needs it.
func (c *Conn) senderLocked() *deflate.Sender {
	s := c.madeStages()
	if !s.sends {
		e := c.loop.engine
		s.sender = e.conf.deflate.Sender(c.agreed.Value().deflate, e.pool)
		s.sends = true
	}
	c.used(s)
	return &s.sender
}

// messageLocked sends a whole message.
func (c *Conn) messageLocked(o *outbound, m *outgoing) {
	switch {
	case !m.compress:
		c.frameLocked(o, m, true, true)
	case m.prepared != nil && c.preparedLocked(o, m):
	case len(m.p) > c.loop.engine.conf.slice:
		c.beginLongLocked(o, m)
	default:
		c.compressLocked(o, m)
	}
}

// compressLocked sends a message compressed, if that makes it shorter.
func (c *Conn) compressLocked(o *outbound, m *outgoing) {
	b := c.loop.engine.pool.Get(len(m.p) + compressSlack)
	var ok bool
	if b.B, ok = c.senderLocked().Compress(b.B, m.p); ok {
		c.compressedLocked(o, m, b.B, true, true)
	} else {
		if plantedBug(bugPlainHistory) {
			c.senderLocked().Sent(m.p)
		}
		c.frameLocked(o, m, true, true)
	}
	b.Release()
}

// compressedLocked sends p, which was made of m, a message or a part of one.
func (c *Conn) compressedLocked(o *outbound, m *outgoing, p []byte, first, fin bool) {
	c.loop.stats.deflated(len(p), len(m.p), fin)
	c.frameLocked(o, &outgoing{op: m.op, p: p, payload: m.payload, rsv1: first}, first, fin)
}

// preparedLocked sends a prepared message in the form that all connections with this kind of
// window share. It reports false where that can not be: for a connection with its own
// compressor, which would not know what the peer's window holds, and for a long message that
// nobody has compressed yet.
func (c *Conn) preparedLocked(o *outbound, m *outgoing) bool {
	if c.ownCompressor() && !plantedBug(bugPreparedOwn) {
		return false
	}
	if len(m.p) > c.loop.engine.conf.slice && !c.hasDeflated(m.prepared) {
		return false // it takes too long here
	}
	f := c.deflated(m.prepared)
	if f.bytes == nil {
		c.frameLocked(o, m, true, true)
		return true
	}
	if s := c.stages.Load(); s != nil && s.sends && !plantedBug(bugUntold) {
		s.sender.Sent(m.p)
		c.used(s)
	}
	c.loop.stats.deflated(len(f.payload()), len(m.p), true)
	c.frameLocked(o, &outgoing{op: m.op, p: f.payload(), frame: f.bytes, payload: m.payload, rsv1: true}, true, true)
	return true
}

// deflated is p for this connection's window, compressed now if it is the first of that kind.
func (c *Conn) deflated(p *Prepared) *preparedFrame {
	return p.deflated(c.loop.engine.conf.deflate, sharedWindow(c.agreed.Value().deflate.Send.WindowBits))
}

func (c *Conn) hasDeflated(p *Prepared) bool {
	return p.variant(c.loop.engine.conf.deflate, sharedWindow(c.agreed.Value().deflate.Send.WindowBits)) != nil
}

// sharedWindow is the window that a prepared message is compressed for, to be sent to connections
// with this one. What fits a window fits a wider one, and strangers choose: with one for each of
// eight a broadcast would cost eight times as much.
func sharedWindow(bits uint8) uint8 {
	switch {
	case bits >= 15:
		return 15
	case bits >= 11:
		return 11
	}
	return 8
}

// ownCompressor tells whether the connection keeps a compressor, which does not forget what
// it has read.
func (c *Conn) ownCompressor() bool { return c.loop.engine.ownCompressor(c.agreed.Value().deflate) }

func (e *engine) ownCompressor(a deflate.Agreement) bool {
	return e.conf.deflate.Policy().Takeover == deflate.OwnCompressor && a.Send.Takeover
}

// longMessage is a message that is compressed slice by slice. While there is one, other
// data messages wait behind it, as behind an open writer, and control frames pass.
type longMessage struct {
	op      Opcode
	buf     *pool.Buffer // nil: there is none
	off     int          // what of it was compressed
	payload uint64
	close   []byte // the body of the Close frame that waits behind all of it; nil: none does
	over    bool   // there is none, or its last slice was made: what waited follows now
}

// pending tells whether something is still to be made of it.
func (g *longMessage) pending() bool { return g.underWay() || g.close != nil }

// underWay tells whether what is sent now has to wait.
func (g *longMessage) underWay() bool { return g.buf != nil || g.over }

// rest is how many bytes of the message are to be compressed yet.
func (g *longMessage) rest() uint64 {
	if g.buf == nil {
		return 0
	}
	return uint64(len(g.buf.B) - g.off)
}

// beginLongLocked sends the first slice. If that does not become shorter the message leaves
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
	o.long = longMessage{op: m.op, payload: m.payload, close: o.long.close}
	if plantedBug(bugForgotClose) {
		o.long.close = nil
	}
	if m.owned != nil {
		m.owned.Retain()
		o.long.buf, o.long.off = m.owned, slice
	} else {
		o.long.buf = e.pool.Get(len(m.p) - slice)
		o.long.buf.B = append(o.long.buf.B, m.p[slice:]...)
	}
	c.compressedLocked(o, &outgoing{op: m.op, p: m.p[:slice], payload: m.payload}, b.B, true, false)
	c.notify(todoSlice)
}

// goOnLocked goes on, for a turn's worth, with a long message and those that wait behind it,
// and reports whether there is more.
func (c *Conn) goOnLocked() (more bool) {
	if c.out.long.buf == nil || c.sliceLocked() {
		c.afterLongLocked()
	}
	return c.out != nil && c.out.long.underWay() && !c.out.awaitsBroadcast()
}

// sliceLocked sends one more slice, and reports whether it was the last.
func (c *Conn) sliceLocked() (last bool) {
	o := c.out
	g, slice := o.long, c.loop.engine.conf.slice
	p := g.buf.B[g.off:]
	last = len(p) <= slice
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
		o.long = longMessage{close: g.close, over: true}
	} else {
		o.long.off += slice
	}
	if len(b.B) > 0 {
		c.compressedLocked(o, &outgoing{op: g.op, p: p, payload: g.payload}, b.B, false, last)
	} else {
		c.loop.stats.deflated(0, len(p), false)
	}
	b.Release()
	if last {
		g.buf.Release()
	}
	return last
}

// afterLongLocked sends what waited behind a long message, up to an open writer, and after the
// last of them the Close frame that did.
func (c *Conn) afterLongLocked() {
	c.releaseDeferredLocked()
	o := c.out
	if o == nil || o.long.buf != nil || o.releasable() || o.awaitsBroadcast() {
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
	if o := c.out; o != nil && o.long.underWay() && !o.blocked {
		more = c.goOnLocked()
		c.flushCork() // a worker's callback, whose end would do it, may wait for this in Drain
	}
	c.parkLocked()
	c.unlock()
	if more {
		c.loop.enqueue(c)
	}
}

// parkLocked gives the compressor of a message under way back while the peer does not read: it is
// a megabyte, which no limit counts.
func (c *Conn) parkLocked() {
	s := c.stages.Load()
	if o := c.out; o == nil || !o.blocked || s == nil || !s.sends || !s.sender.Streaming() {
		return
	}
	b := c.loop.engine.pool.Get(heldBack)
	if b.B = s.sender.Park(b.B); len(b.B) > 0 {
		c.compressedLocked(c.out, &outgoing{}, b.B, false, false)
	}
	b.Release()
}

// closeSenderLocked gives back what the sender holds. The connection is CLOSED.
func (c *Conn) closeSenderLocked() {
	if s := c.stages.Load(); s != nil && s.sends && !plantedBug(bugLeakHistory) {
		s.sender.Close()
		s.sends = false
	}
}
