package engine

import (
	"slices"

	"github.com/gannet-ws/gannet/deflate"
)

// The compress stage (RFC 7692 7.2.1): between the limits and the frame, under the
// connection's lock, so that the order of its history is the order on the wire. What is
// dropped, or sent as it is, never gets here.

const (
	// sliceBytes is how much of a message is compressed in one turn: about half a
	// millisecond, up to level 6. A longer message takes several (long.go).
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

// choosesCompress asks Options.Compress; its panic, or its end of the goroutine, must not cost a loop.
func (e *engine) choosesCompress(op Opcode, n int) (yes bool) {
	if e.conf.Compress == nil {
		return true
	}
	asking := true
	defer func() {
		if asking {
			yes = false
			r := recover()
			l := e.loopHere()
			if r == nil && (l != nil && l.inCallback || e.onWorker()) {
				return // it is the callback's end as well
			}
			e.blamedFor("Options.Compress", "the message is sent as it is", r)
			if r == nil && l != nil {
				l.exits(nil)
			}
		}
	}()
	yes = e.conf.Compress(op, n)
	asking = false
	return yes
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

// closeSenderLocked gives back what the sender holds. The connection is CLOSED.
func (c *Conn) closeSenderLocked() {
	if s := c.stages.Load(); s != nil && s.sends && !plantedBug(bugLeakHistory) {
		s.sender.Close()
		s.sends = false
	}
}
