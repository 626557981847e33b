package engine

import (
	"sync"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/incoming"
	"github.com/gannet-ws/gannet/pool"
)

// inbound is what a connection needs between reads while something it received is unfinished. Between
// messages it has none: the loop lends its spare.
type inbound struct {
	incoming.In

	pong     [codec.MaxControlPayload]byte // the last ping not yet answered
	pongLen  uint8
	pongOwed bool

	rest    *pool.Buffer // read, not yet decoded: the turn was over
	restOff int

	budget holding // what of InboundBudget this connection holds
}

var inboundPool = sync.Pool{New: func() any { return new(inbound) }}

func (in *inbound) idle() bool { return in.Idle() && !in.pongOwed && in.rest == nil }

// inboundOf is c's inbound; when c has none, the loop's spare. That is always ready for a connection without
// permessage-deflate that takes whole messages.
func (l *loop) inboundOf(c *Conn) *inbound {
	if c.in != nil {
		return c.in
	}
	if l.spare == nil {
		l.spare = inboundPool.Get().(*inbound)
		l.spare.Begin(&l.lane, false, deflate.Agreement{}, nil)
	}
	if byChunk := c.route().hooks.chunk != nil; c.deflates || byChunk {
		l.spare.Begin(&l.lane, byChunk, c.agreed.Value().deflate, c.receiver())
	}
	return l.spare
}

// keep attaches in to c, or takes it back from an idle one.
func (l *loop) keep(c *Conn, in *inbound) {
	if in.idle() {
		in.budget.set(c, 0)
		l.takeBack(c, in)
		return
	}
	in.budget.set(c, in.held())
	if c.in == nil {
		c.in, l.spare = in, nil
	}
}

// discard empties in, c's or the loop's spare, for the next connection.
func (l *loop) discard(c *Conn, in *inbound) {
	if in.rest != nil {
		c.flags &^= pausedByWork // what the peer writes next is read, if only to be dropped
		in.rest.Release()
	}
	in.Release()
	in.budget.set(c, 0)
	*in = inbound{}
	l.takeBack(c, in)
}

// takeBack makes in, which keeps nothing of c's any more, the next connection's.
func (l *loop) takeBack(c *Conn, in *inbound) {
	if c.in == nil {
		in.Begin(&l.lane, false, deflate.Agreement{}, nil)
		return
	}
	c.in = nil
	*in = inbound{}
	inboundPool.Put(in)
}

// dropInbound gives up what a connection had received in part; the turn's end does it
// when the turn is this connection's.
func (c *Conn) dropInbound() {
	if c.in != nil && c.loop.turning != c.in {
		c.loop.discard(c, c.in)
	}
}

// held is what the connection makes us hold of unfinished input.
func (in *inbound) held() int64 {
	n := in.Held()
	if in.rest != nil {
		n += int64(len(in.rest.B))
	}
	return n
}

// receiver is what the connection receives compressed messages with; nil before the first. On the loop.
func (c *Conn) receiver() *deflate.Receiver {
	if s := c.deflation.Load(); s != nil {
		return s.receiver
	}
	return nil
}

// keepReceiver keeps what in received a compressed message with: the peer's window is in it.
func (c *Conn) keepReceiver(in *inbound) {
	s := c.madeDeflation()
	s.receiver = in.Receiver()
	c.used(s)
}

// closeReceiver gives back what the receiver holds. On the loop.
func (c *Conn) closeReceiver() {
	if r := c.receiver(); r != nil {
		r.Close()
	}
}
