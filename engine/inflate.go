package engine

import "github.com/gannet-ws/gannet/deflate"

const (
	// inflateBytes is what is inflated between looks at the clock, a tenth of a
	// millisecond, and what a message may be long to be delivered without a buffer.
	inflateBytes = 64 << 10
	// costlyBytes: what takes this much work is followed by a look at the clock, and work is a byte that was made, or
	// wireWork times a byte that was read: the codes of a block without content take 25 ns for each of their bytes.
	costlyBytes = 4 << 10
	wireWork    = 4
	// mostGrowth and its companion bound what a compressed message may take on the wire: a sender
	// that flushes after every byte makes eleven of it where it stores (RFC 1951 3.2.4), else seven.
	mostGrowth     = 16
	mostGrowthBase = 1 << 10
)

// inflation is where a compressed message stands. On the loop.
type inflation struct {
	compressed bool   // the message under way is
	inflated   uint64 // bytes of it so far
	stopped    bool   // a turn ended in the middle of a frame's payload
	final      bool   // that frame is the message's last
	ahead      int    // how much of that payload stands, unmasked, at the start of what is to be decoded
}

// receiverOf is the connection's receiver, made with its first compressed message.
func (l *loop) receiverOf(c *Conn) *deflate.Receiver {
	s := c.madeStages()
	if !s.receives {
		s.receiver = l.engine.conf.deflate.Receiver(c.agreed.Value().deflate, l.engine.pool)
		s.receives = true
	}
	c.used(s)
	return &s.receiver
}

// closeReceiver gives back what the receiver holds. On the loop.
func (c *Conn) closeReceiver() {
	if s := c.stages.Load(); s != nil && s.receives {
		s.receiver.Close()
	}
}

// discardMessage gives up the message under way, which nobody will get.
func (c *Conn) discardMessage(in *inbound) {
	in.releaseMessage()
	if s := c.stages.Load(); s != nil && s.receives {
		s.receiver.Abort()
	}
}

// inflate takes one piece of a compressed message (RFC 7692 7.2.2), unmasked, and delivers
// what there is of it: by the chunk, or when it is whole. A turn that is over stops it, with
// in.stopped.
func (l *loop) inflate(c *Conn, in *inbound, p []byte, final bool) {
	if len(p) == 0 && !final {
		return
	}
	r := l.receiverOf(c)
	work := 0
	for {
		dst := l.inflateRoom(c, in)
		n, k, step, err := r.Inflate(dst, p, final)
		p = p[k:]
		in.inflated += uint64(n)
		work += n + wireWork*k
		l.deflate.wire += uint64(k)
		l.deflate.bytes += uint64(n)
		if err != nil {
			c.fail(&CloseError{err.(deflate.Error).Code(), err})
			return
		}
		if !l.takeInflated(c, in, dst[:n], step == deflate.Done) {
			return
		}
		switch step {
		case deflate.Done, deflate.NeedInput:
			if step == deflate.Done {
				l.deflate.messages++
			}
			l.over = work >= costlyBytes && l.turnOver()
			return
		case deflate.NeedRoom:
			if len(dst) == 0 { // MaxMessageSize is full, and there is more
				c.fail(&CloseError{codeTooBig, ErrTooLarge})
				return
			}
		}
		if l.turnOver() || c.flags&pausedByInbox != 0 || c.holdsTurn() {
			l.over, in.stopped, in.final, in.ahead = true, true, final, len(p)
			return
		}
	}
}

// inflateRoom is where the next bytes of a message go: up to MaxMessageSize, which may be
// nowhere. Short messages, and chunks, stay in the loop's own room.
func (l *loop) inflateRoom(c *Conn, in *inbound) []byte {
	left, most := uint64(0), uint64(c.limits.Load().MaxMessageSize)
	if most > in.inflated {
		left = min(most-in.inflated, inflateBytes)
	}
	if plantedBug(bugWireLimit) {
		left = inflateBytes
	}
	if in.msg == nil {
		if l.scratch == nil {
			l.scratch = make([]byte, inflateBytes)
		}
		return l.scratch[:left]
	}
	if uint64(cap(in.msg.B)-len(in.msg.B)) < min(left, firstBytes) {
		in.msg.GrowWithin(int(min(left, max(firstBytes, uint64(len(in.msg.B))))), int(most)) // as makeRoom does
	}
	room := in.msg.B[len(in.msg.B):cap(in.msg.B)]
	return room[:min(uint64(len(room)), left)]
}

// takeInflated takes what was added to a message, and reports whether to go on.
func (l *loop) takeInflated(c *Conn, in *inbound, added []byte, last bool) bool {
	switch {
	case l.engine.hooks.chunk != nil:
		if len(added) > 0 || last {
			l.chunk(c, in, added, last)
		}
	case in.msg == nil && last:
		l.whole(c, in.op, added)
	case len(added) > 0 || last:
		if in.msg == nil {
			in.msg = l.engine.pool.Get(max(len(added), firstBytes))
			in.msg.B = append(in.msg.B, added...)
		} else {
			in.msg.B = in.msg.B[:len(in.msg.B)+len(added)]
		}
		l.assembled(c, in, last, added)
	}
	return !c.deaf() && c.flags&discarding == 0
}

// resumeInflate goes on with the payload that a turn ended in, which is at the start of b,
// and returns what follows it, or all that is left.
func (l *loop) resumeInflate(c *Conn, in *inbound, b []byte) (rest []byte) {
	n := in.ahead
	if plantedBug(bugLostAhead) {
		n = 0
	}
	in.stopped = false
	if c.flags&discarding != 0 {
		c.discardMessage(in)
		return b[n:]
	}
	l.inflate(c, in, b[:n], in.final)
	if in.stopped {
		n -= in.ahead
	}
	return b[n:]
}

// admitsWire tells whether a compressed message may be n bytes on the wire.
func admitsWire(n uint64, l *Limits) bool {
	return n <= uint64(l.MaxMessageSize)*mostGrowth+mostGrowthBase
}
